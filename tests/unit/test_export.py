"""Where an export may go, and what is said where it may not."""

import errno
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from click.testing import CliRunner

from tickvault.cli import root
from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.core.sheet import Sheet
from tickvault.engines import scratch as scratches
from tickvault.engines.scratch import scratch
from tickvault.query import export as exports

TABLE = pa.table({"n": [1, 2]})


@pytest.fixture
def write(monkeypatch, make_settings):
    monkeypatch.setattr(exports, "_postgres", lambda *_: iter([TABLE.schema.empty_table(), TABLE]))
    return lambda path, form="csv": exports.export(make_settings(), "postgres", "x", path, form)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_appears_and_a_link_goes_on_naming_it(write, tmp_path, form):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    for path in (tmp_path / "file", link, link):
        assert write(path, form) == 2
    assert link.is_symlink()
    assert (tmp_path / "real").read_bytes() == (tmp_path / "file").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "link", "real"]


def test_csv_goes_to_a_pipe_and_parquet_does_not(write, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert write(pipe) == 2
    reader.join()
    assert read == ['"n"\n1\n2\n']
    assert pipe.is_fifo()
    with pytest.raises(ConfigError, match="no regular file"):
        write(pipe, "parquet")
    assert write(tmp_path.__class__("/dev/null")) == 2


_EXPORTING = """
import pyarrow as pa
from tickvault.cli import main
from tickvault.query import export, relation

export._postgres = lambda *_: iter([pa.table({"n": range(10_000)})] * 20)
relation.find = lambda *_: "x"
main()
"""


def run_export(arguments, **streams):
    environment = os.environ | {"POSTGRES_HOST": "nowhere"}
    command = [sys.executable, "-c", _EXPORTING, "export", "x", "--on", "postgres", *arguments]
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, env=environment, **streams)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_csv_goes_to_the_standard_output_whatever_that_is(name, kind, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("before\n")
    with kept.open("a") as file, run_export(["--csv", name], stdout=file if kind == "file" else subprocess.PIPE) as p:
        out, err = p.communicate()
    assert p.returncode == 0, err
    assert err == f"200,000 rows of x in {name}\n"
    before, header, *rows = (f"before\n{out}" if out else kept.read_text()).splitlines()
    assert (before, header, len(rows)) == ("before", '"n"', 200_000)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_reader_who_has_enough_hears_no_more():
    with run_export(["--csv", "-"], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == '"n"\n'
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_parquet_does_not_go_to_the_standard_output():
    with run_export(["--parquet", "/dev/stdout"], stdout=subprocess.PIPE) as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (78, "")
    assert "no regular file" in err


def test_where_it_cannot_be_written_a_sentence_says_so(write, tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "no" / "such.csv", tmp_path / "loop", tmp_path / ("x" * 250), tmp_path):
        with pytest.raises(ConfigError, match=r"cannot be written|no regular file"):
            write(path)


def test_a_full_disk_is_to_be_tried_again_and_leaves_nothing(write, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Sheet, "write_batch", full)
    with pytest.raises(SinkUnavailableError, match="No space left"):
        write(tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_full_temporary_folder_is_to_be_tried_again():
    with pytest.raises(SinkUnavailableError, match=r"is full.*TMPDIR"), scratch():
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="else"), scratch():
        raise OSError(errno.EINVAL, "else")
    assert scratches


@pytest.mark.parametrize("value", [",", " , ", ""])
def test_symbols_that_name_nothing_are_not_all(value):
    done = CliRunner().invoke(root, ["extract", "binance", "--symbols", value])
    assert done.exit_code == 2
    assert "names nothing" in done.output


def test_a_range_that_ends_before_it_begins_is_refused():
    done = CliRunner().invoke(root, ["backfill", "binance", "--from", "2026-11-20", "--to", "2026-11-01"])
    assert done.exit_code == 2
    assert "turn them round" in done.output


def test_days_and_slots_that_nobody_means_are_refused(monkeypatch):
    monkeypatch.setenv("TICKVAULT_CLOCK", datetime(2026, 11, 20, tzinfo=UTC).isoformat())
    for words in (["--days", "0"], ["--days", "-1"], ["--slot", "1066-10-14"], ["--slot", "2026-11-20x"]):
        done = CliRunner().invoke(root, ["extract", "binance", *words])
        assert done.exit_code == 2, words
    done = CliRunner().invoke(root, ["backfill", "binance", "--from", "2027-11-20"])
    assert "lies ahead of now" in str(done.exception)
