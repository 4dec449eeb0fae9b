"""Builds the images whose content changed, prints their sizes and writes the tags for the charts.

``python images/build.py`` needs Docker and nothing else. Two images of one recipe are built once and tagged twice.
``--push`` builds for a registry instead, under the name the charts look for there, and needs buildx.
"""

import argparse
import itertools
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence

from recipes import REPOSITORY, ROOT, Recipe, recipes

PYTHON = "python:3.13-slim"
OUTPUT = ROOT / ".images"
INGEST_LIMIT_MB = 300


def main(arguments: Sequence[str]) -> int:
    """Build for this machine, or for a registry; ends with 1 when the ingest image outgrew its limit."""
    options = parse(arguments)
    if options.push:
        for command in push_commands(options.push, options.tag, options.platform):
            _run(command)
        return 0
    return build()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "build.py", description="Build the images: for this machine's Docker, or for a registry."
    )
    parser.add_argument("--push", metavar="REGISTRY/REPO", help="build with buildx and push to REGISTRY/REPO/<image>")
    parser.add_argument("--tag", help="tag of what is pushed; the charts look for their appVersion")
    parser.add_argument("--platform", metavar="OS/ARCH,...", help="platforms of what is pushed [default: this one]")
    options = parser.parse_args(arguments)
    if bool(options.push) != bool(options.tag) or (options.platform and not options.push):
        parser.error("--push and --tag go together, and --platform only with them")
    return options


def push_commands(repository: str, tag: str, platform: str | None) -> list[list[str]]:
    """Give one buildx command per recipe; a registry's names are lower case, those of GitHub need not be."""
    wanted = defaultdict(list)
    for name, recipe in recipes().items():
        wanted[recipe].append(f"{repository.lower()}/{name}:{tag}")
    how = ["docker", "buildx", "build", "--push", *(["--platform", platform] if platform else [])]
    return [[*how, *_what(recipe, tags, tag)] for recipe, tags in wanted.items()]


def build() -> int:
    """Build what is not here yet, measure, and write the values that name it."""
    made = recipes()
    wanted = defaultdict(list)
    for name, recipe in made.items():
        wanted[recipe].append(f"{REPOSITORY}/{name}:{recipe.tag}")
    present = _local_tags()
    for recipe, tags in wanted.items():
        if not present.issuperset(tags):
            _run(["docker", "build", "--quiet", *_what(recipe, tags, recipe.tag)])
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / "values.yaml").write_text(values(made), encoding="utf-8")
    references = sorted(tag for tags in wanted.values() for tag in tags)
    (OUTPUT / "references").write_text("\n".join(references) + "\n", encoding="utf-8")
    return _report(made)


def _what(recipe: Recipe, tags: list[str], version: str) -> list[str]:
    """Give the arguments of a build that say what is built and how it is called."""
    return [
        *("--file", "images/Dockerfile", "--target", recipe.stage),
        *("--build-arg", f"PYTHON={PYTHON}", "--build-arg", f"EXTRA={recipe.extra}"),
        *("--label", f"org.opencontainers.image.version={version}"),
        *(word for tag in tags for word in ("--tag", tag)),
        ".",
    ]


def _run(command: list[str]) -> None:
    tags = [word for before, word in itertools.pairwise(command) if before == "--tag"]
    sys.stdout.write(f"building {' '.join(tags)}\n")
    sys.stdout.flush()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _local_tags() -> set[str]:
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={REPOSITORY}/*"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(listed.stdout.split())


def values(made: dict[str, Recipe]) -> str:
    """Give the chart values that name what was built here instead of what is published; JSON is YAML too."""

    def image(name: str) -> dict[str, dict[str, str]]:
        return {"image": {"registry": "", "repository": f"{REPOSITORY}/{name}", "tag": made[name].tag}}

    chosen = {
        "jobs": {
            "image": {"registry": "", "repository": REPOSITORY},
            "imageTags": {name: recipe.tag for name, recipe in made.items()},
        },
        "alertmanager": image("alertmanager"),
        "alertReceiver": image("alert-receiver"),
        "snowflakeEmulator": image("emulator"),
        "marketSimulator": image("simulator"),
        "prefect": image("flows"),  # the server, in the version and with the packages its clients have
    }
    return json.dumps(chosen, indent=1) + "\n"


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
    sys.exit(main(sys.argv[1:]))
