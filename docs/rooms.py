"""Writes the map of ``jobs/tickvault`` into the README: rooms by floor, each with the first line of its docstring.

Floors and their order are those of the import rules in ``pyproject.toml``, which ``make lint`` holds the code to.
Run it with ``python docs/rooms.py``; a test tells when that was forgotten.
"""
# ruff: noqa: INP001 - a script

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- rooms: python docs/rooms.py -->", "<!-- /rooms -->"


def floors() -> list[list[str]]:
    """Return the names of the rooms that there are, from the top down; those of one floor do not know each other."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(rule["layers"] for rule in rules if rule["type"] == "layers")
    named = [re.findall(r"\(?\w+\)?", layer) for layer in layers]
    return [[room for room in floor if not room.startswith("(")] for floor in named]


def card(room: str) -> str:
    """Return the first line of a room's docstring."""
    module = ROOT / "jobs" / "tickvault" / room / "__init__.py"
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("``", "`")


def table() -> str:
    """Return the map as a Markdown table."""
    lines = ["| Room | What is there |", "|---|---|"]
    for floor in floors():
        lines += [f"| `{room}/` | {card(room)} |" for room in floor]
        lines.append("| | |")
    return "\n".join(lines[:-1])


def readme() -> str:
    """Return the README with the map as it is now."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
