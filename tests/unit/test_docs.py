"""The README's map is the tree as it is, and the pages name only what there is."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jobs" / "tickvault"
sys.path.insert(0, str(ROOT / "docs"))
import rooms  # noqa: E402


def test_the_map_is_drawn_from_the_rooms():
    assert rooms.README.read_text() == rooms.readme(), "run: python docs/rooms.py"
    assert {room for floor in rooms.floors() for room in floor} == {
        p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()
    }


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
