"""What a chart's values.yaml says beside its values: the one comment line over each."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).parent
_KEY = re.compile(r"^( *)([\w.-]+):")
_HINT = re.compile(r" \[(map of|one of|map)(?:: ([^\]]*))?\]$")


@dataclass(frozen=True, slots=True)
class Value:
    """One commented value: its path, its default, its meaning, and the hint at the end of the comment.

    ``[one of: a, b]`` names what is allowed; ``[map]`` says that users choose the keys and that every entry looks
    like those given, or ``[map: name]`` like that value beside it; ``[map of: string]`` the same for plain entries.
    """

    path: tuple[str, ...]
    default: Any
    meaning: str
    hint: str | None
    argument: str | None


def charts() -> list[Path]:
    """Give the folders of all charts that have values."""
    return sorted(file.parent for file in CHARTS.glob("*/values.yaml"))


def read(chart: Path) -> list[Value]:
    """Give the commented values of a chart in the file's order.

    Raises:
        ValueError: A value has no comment line, or more than one.
    """
    file = chart / "values.yaml"
    text = file.read_text(encoding="utf-8")
    values, found, path, comment = yaml.safe_load(text), [], [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            comment.append(line.lstrip().removeprefix("#").strip())
            continue
        key = _KEY.match(line)
        if key is None:
            raise ValueError(f"{file}:{number}: write one value per line: {line}")
        if len(comment) != 1:
            raise ValueError(f"{file}:{number}: {key[2]} has {len(comment)} comment lines, not one")
        path = [*path[: len(key[1]) // 2], key[2]]
        default = values
        for step in path:
            default = default[step]
        hint = _HINT.search(comment[0])
        meaning = comment[0][: hint.start()] if hint else comment[0]
        found.append(Value(tuple(path), default, meaning, hint and hint[1], hint and hint[2]))
        comment = []
    return found
