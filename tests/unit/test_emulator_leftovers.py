"""What loads leave behind in the emulator's stages is removed, what may still be wanted is not."""

import os
import time
from pathlib import Path

import pytest

from tickvault.engines.snowflake.tables import STAGE
from tickvault.local.snowflake import leftovers

NOW = time.time()


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    return tmp_path / "stage"


def aged(path: Path, stage: Path, *, hours: float) -> Path:
    """Make a file, or a folder where the name has no dot, that like all above it was not touched for some hours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("rows") if path.suffix else path.mkdir()
    for touched in (path, *path.parents):
        if touched.is_relative_to(stage):
            os.utime(touched, (NOW - hours * 3600, NOW - hours * 3600))
    return path


def test_the_folders_of_loads_that_are_done_go(stage: Path) -> None:
    fresh = aged(stage / "DB/RAW" / STAGE / "package9/attempt", stage, hours=0.1)
    done = [aged(stage / "DB/RAW" / STAGE / f"package{n}/attempt", stage, hours=2) for n in range(3)]
    leftovers.sweep(stage, NOW)
    assert fresh.exists()
    assert not any(folder.exists() for folder in done)
    leftovers.sweep(stage, NOW + 7200)
    assert not any(folder.parent.exists() for folder in done), "what lost its last folder was touched by that"
    assert stage.exists()


def test_a_killed_loads_file_goes_after_a_day_and_nobody_elses(stage: Path) -> None:
    old = aged(stage / "DB/RAW" / STAGE / "package/attempt/part.parquet", stage, hours=25)
    young = aged(stage / "DB/RAW" / STAGE / "other/attempt/part.parquet", stage, hours=23)
    own = aged(stage / "DB/RAW/FILES/a/part.parquet", stage, hours=1000)
    leftovers.sweep(stage, NOW)
    assert [path.exists() for path in (old, young, own)] == [False, True, True]
    leftovers.sweep(stage, NOW + 7200)
    assert [path.exists() for path in (old.parent, young, own)] == [False, False, True]


def test_nothing_there_is_fine(stage: Path) -> None:
    leftovers.sweep(stage, NOW)
