"""The README's map is the tree as it is, and the pages name only what there is."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jobs" / "tickvault"
sys.path.insert(0, str(ROOT / "docs"))
import flows  # noqa: E402
import pictures  # noqa: E402
import rooms  # noqa: E402


def test_the_map_is_drawn_from_the_rooms():
    assert rooms.README.read_text() == rooms.readme(), "run: python docs/rooms.py"
    assert {room for floor in rooms.floors() for room in floor} == {
        p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()
    }


def test_the_flows_are_told_from_their_plans():
    assert flows.PAGE.read_text(encoding="utf-8") == flows.page(), "run: python docs/flows.py"


@pytest.mark.parametrize(("name", "picture"), pictures.pictures().items())
def test_a_picture_is_drawn_from_the_project(name, picture):
    assert (pictures.FOLDER / name).read_text(encoding="utf-8") == picture, "run: python docs/pictures.py"
    boxes = re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)"', picture)
    assert len(boxes) == len(set(boxes)) > 10
    inside = [int(number) for number in re.search(r'viewBox="0 0 (\d+) (\d+)"', picture).groups()]
    assert all(int(x) + int(width) < inside[0] and int(y) < inside[1] for x, y, width in boxes)


def test_every_page_is_reached_from_the_readme():
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        targets = [(page.parent / link).resolve() for link in links]
        assert [t for t in targets if not t.exists()] == [], f"{page} links to what is not there"
        ahead += targets
    assert set((ROOT / "docs").rglob("*.md")) <= reached


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "docs/promises.md", "docs/providers.md", "docs/columns.md", "docs/history.md"],
)
def test_a_page_names_only_files_that_there_are(page):
    named = re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)*(?:/|\.py|\.sql|\.yaml|\.toml))`", (ROOT / page).read_text())
    examples = {"moon_phase", "sat_company_ratings"}  # what a reader would make
    missing = [
        name
        for name in named
        if not ((ROOT / name).exists() or (PACKAGE / name).exists()) and not any(word in name for word in examples)
    ]
    assert missing == []
