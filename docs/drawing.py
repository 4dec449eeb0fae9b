"""Draws boxes in columns and arrows between them as an SVG, which every browser and Git host shows."""
# ruff: noqa: INP001 - part of scripts

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

ROW, GAP, MARGIN, HEAD = 46, 14, 20, 54
"""Pixels: a box's height, the space between boxes, the picture's edge, the room for a title and the columns' heads."""
INK, PAPER = "#1f2933", "#ffffff"
FILLS = {"": "#eef2f7", "ours": "#dbeafe", "store": "#dcfce7", "outside": "#fef3c7", "reader": "#f3e8ff"}
"""What a box's fill says it is; "" is anything else."""


@dataclass(frozen=True)
class Box:
    """A box: its title, a smaller second line, and its kind in ``FILLS``."""

    title: str
    text: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Arrow:
    """An arrow between two boxes' names."""

    start: str
    end: str


def draw(
    title: str, columns: Sequence[tuple[str, Mapping[str, Box]]], arrows: Sequence[Arrow] = (), *, between: int = 90
) -> str:
    """Return the SVG.

    Args:
        title: What it shows.
        columns: From left to right: a head, and the boxes by name, from top to bottom.
        arrows: From a box to one of a column further right.
        between: Pixels between two columns.
    """
    widths = [max(_width(box) for box in boxes.values()) for _, boxes in columns]
    height = max(len(boxes) * (ROW + GAP) for _, boxes in columns) + HEAD + 2 * MARGIN
    places: dict[str, tuple[int, int]] = {}  # column, middle of the box's height
    parts: list[str] = []
    lanes: list[tuple[int, int, list[int]]] = []  # a column's left and right edge, and the heights free of boxes
    x = MARGIN
    for (head, boxes), width in zip(columns, widths, strict=True):
        parts.append(_text(x + width // 2, MARGIN + HEAD - 12, head, 12, "#52606d"))
        y = MARGIN + HEAD + (height - HEAD - 2 * MARGIN - len(boxes) * (ROW + GAP)) // 2
        lanes.append((x, x + width, [y - GAP // 2 + n * (ROW + GAP) for n in range(len(boxes) + 1)]))
        for name, box in boxes.items():
            places[name] = (len(lanes) - 1, y + ROW // 2)
            parts.append(_box(x, y, width, box))
            y += ROW + GAP
        x += width + between
    lines = [_arrow(places[a.start], places[a.end], lanes) for a in arrows]
    full = x - between + MARGIN
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" width="{full}" height="{height}" viewBox="0 0 {full} {height}"
     font-family="DejaVu Sans, Verdana, sans-serif" role="img" aria-label="{escape(title)}">
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0,0 L8,4 L0,8 z" fill="#52606d"/></marker></defs>
<rect width="{full}" height="{height}" fill="{PAPER}"/>
<text x="{MARGIN}" y="{MARGIN + 14}" font-size="16" font-weight="bold" fill="{INK}">{escape(title)}</text>"""
    return "\n".join([svg, *lines, *parts, "</svg>\n"])


def _width(box: Box) -> int:
    return max(110, 9 * len(box.title) + 24, int(6.4 * len(box.text)) + 24)


def _box(x: int, y: int, width: int, box: Box) -> str:
    middle = x + width // 2
    rect = f'<rect x="{x}" y="{y}" width="{width}" height="{ROW}" rx="6" fill="{FILLS[box.kind]}" stroke="#9aa5b1"/>'
    if not box.text:
        return rect + _text(middle, y + ROW // 2 + 5, box.title, 13)
    return rect + _text(middle, y + 20, box.title, 13) + _text(middle, y + 36, box.text, 10, "#52606d")


def _text(x: int, y: int, text: str, size: int, fill: str = INK) -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="middle" fill="{fill}">{escape(text)}</text>'


def _arrow(start: tuple[int, int], end: tuple[int, int], lanes: list[tuple[int, int, list[int]]]) -> str:
    """Draw from left to right; what passes a column goes between its boxes."""
    x, y = lanes[start[0]][1], start[1]
    path = f"M{x},{y}"
    for column in range(start[0] + 1, end[0] + 1):
        left, right, free = lanes[column]
        straight = y + (end[1] - y) * (column - start[0]) // (end[0] - start[0])
        to = end[1] if column == end[0] else min(free, key=lambda height: abs(height - straight))
        bend = (left - x) // 2
        path += f" C{x + bend},{y} {left - bend},{to} {left},{to}"
        if column != end[0]:
            path += f" L{right},{to}"
        x, y = right, to
    return f'<path d="{path}" fill="none" stroke="#7b8794" stroke-width="1.4" marker-end="url(#tip)"/>'
