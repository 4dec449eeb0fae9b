"""Builds the images whose content changed, prints their sizes and writes the tags for the charts.

``python images/build.py`` needs Docker and nothing else. Two images of one recipe are built once and tagged twice.
"""

import json
import subprocess
import sys
from collections import defaultdict

from recipes import REPOSITORY, ROOT, Recipe, recipes

PYTHON = "python:3.13-slim"
OUTPUT = ROOT / ".images"
INGEST_LIMIT_MB = 300


def main() -> int:
    """Build, measure, write the values; ends with 1 when the ingest image outgrew its limit."""
    made = recipes()
    wanted = defaultdict(list)
    for name, recipe in made.items():
        wanted[recipe].append(f"{REPOSITORY}/{name}:{recipe.tag}")
    present = _local_tags()
    for recipe, tags in wanted.items():
        if not present.issuperset(tags):
            _build(recipe, tags)
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / "values.yaml").write_text(_values(made), encoding="utf-8")
    references = sorted(tag for tags in wanted.values() for tag in tags)
    (OUTPUT / "references").write_text("\n".join(references) + "\n", encoding="utf-8")
    return _report(made)


def _build(recipe: Recipe, tags: list[str]) -> None:
    names = [argument for tag in tags for argument in ("--tag", tag)]
    sys.stdout.write(f"building {' '.join(tags)}\n")
    sys.stdout.flush()
    arguments = {"PYTHON": PYTHON, "EXTRA": recipe.extra}
    subprocess.run(
        [
            *("docker", "build", "--quiet", "--file", "images/Dockerfile", "--target", recipe.stage),
            *(word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")),
            *("--label", f"org.opencontainers.image.version={recipe.tag}", *names, "."),
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _local_tags() -> set[str]:
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={REPOSITORY}/*"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(listed.stdout.split())


def _values(made: dict[str, Recipe]) -> str:
    """Give the chart values that name the tags; JSON is YAML too."""
    values = {
        "jobs": {"imageTags": {name: recipe.tag for name, recipe in made.items()}},
        "alertReceiver": {"image": {"tag": made["alert-receiver"].tag}},
        "snowflakeEmulator": {"image": {"tag": made["emulator"].tag}},
        "marketSimulator": {"image": {"tag": made["simulator"].tag}},
    }
    return json.dumps(values, indent=1) + "\n"


def _report(made: dict[str, Recipe]) -> int:
    references = {name: f"{REPOSITORY}/{name}:{recipe.tag}" for name, recipe in made.items()}
    base = next(references[name] for name, recipe in made.items() if not recipe.extra)
    python_size, base_size = _megabytes(PYTHON), _megabytes(base)
    sys.stdout.write(f"{'image':32}{'tag':14}{'MB':>6}{'on Python':>11}{'on base':>9}\n")
    for name, reference in references.items():
        size = _megabytes(reference)
        row = f"{name:32}{made[name].tag:14}{size:>6.0f}{size - python_size:>11.0f}{size - base_size:>9.0f}\n"
        sys.stdout.write(row)
    if base_size - python_size > INGEST_LIMIT_MB:
        sys.stderr.write(
            f"the ingest image is {base_size - python_size:.0f} MB on top of Python: {INGEST_LIMIT_MB} allowed\n"
        )
        return 1
    return 0


def _megabytes(reference: str) -> float:
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", reference]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1e6


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit("build.py takes no arguments")
    sys.exit(main())
