"""Writes each chart's README.md and values.schema.json from the comments in its values.yaml.

Run by ``make charts-docs``; ``--check`` changes nothing and ends with 1 when a file is out of date.
"""

import json
import sys
from pathlib import Path

import yaml
from schema import schema
from values_file import Value, charts, read

_INTRO = "<!-- Written by charts/readme.py from Chart.yaml, values.yaml and, if there is one, ABOUT.md. -->"


def readme(chart: Path) -> str:
    """Give the README of one chart: what it is, what is worth knowing, and every value."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    parts = [f"# {about['name']}", _INTRO, about["description"]]
    more = chart / "ABOUT.md"
    if more.exists():
        parts.append(more.read_text(encoding="utf-8").strip())
    values = read(chart)
    groups = {value.path[:-1] for value in values}  # written over several lines, with a comment over each part
    rows = [
        f"| `{'.'.join(value.path)}` | {'' if value.path in groups else _default(value)} | {_meaning(value)} |"
        for value in values
    ]
    parts += ["## Values", "\n".join(["| Value | Default | Meaning |", "|---|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def _default(value: Value) -> str:
    return f"`{json.dumps(value.default, ensure_ascii=False)}`".replace("|", "\\|")


def _meaning(value: Value) -> str:
    allowed = f". One of: {value.argument}" if value.hint == "one of" else ""
    return (value.meaning + allowed).replace("|", "\\|")


def main() -> int:
    """Write or check every chart's two files."""
    check, stale = "--check" in sys.argv, 0
    for chart in charts():
        outputs = {
            chart / "README.md": readme(chart),
            chart / "values.schema.json": json.dumps(schema(chart), indent=2, ensure_ascii=False) + "\n",
        }
        for file, text in outputs.items():
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                stale += 1
                sys.stderr.write(f"{file.parent.name}/{file.name} {'is out of date' if check else 'written'}\n")
                if not check:
                    file.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
