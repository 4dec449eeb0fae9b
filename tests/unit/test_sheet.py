"""What a spreadsheet opens: nothing runs, every number is plain, and any CSV reader gives back what was there."""

import csv
import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from tickvault.core.sheet import Sheet

CASES = Path(__file__).parents[1] / "fixtures/cases"


def written(tmp_path, table):
    with Sheet(tmp_path / "x.csv", table.schema) as sheet:
        sheet.write_table(table)
    return (tmp_path / "x.csv").read_bytes().decode()


def rows(tmp_path, table):
    return list(csv.reader(io.StringIO(written(tmp_path, table), newline="")))[1:]


def test_a_title_that_is_a_formula_does_not_run(tmp_path):
    feed = (CASES / "29-formula-title.xml").read_text()
    title = re.search(r"<item><title>(.*?)</title>", feed)[1]
    assert rows(tmp_path, pa.table({"title": [title]})) == [[f"'{title}"]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1", "-", "=", '="a","b"'])
def test_every_way_a_formula_begins(tmp_path, text):
    assert rows(tmp_path, pa.table({"t": [text]})) == [[f"'{text}"]]


@pytest.mark.parametrize("text", ["a=1", " =1", "BTC", "'=1", 'say "x"', "a,b", "a\nb", "é", "1-2"])
def test_other_texts_stay(tmp_path, text):
    assert rows(tmp_path, pa.table({"t": [text]})) == [[text]]


def test_numbers_stay_and_are_plain(tmp_path):
    values = ["0", "-0.0000001877", "1.877E-7", "12345678901234567890123456.1234567891", "-5"]
    table = pa.table(
        {
            "d": pa.array([Decimal(v) for v in values], pa.decimal128(38, 10)),
            "i": pa.array([0, -5, 2**62, None, 1]),
            "f": pa.array([0.5, -2.5, None, 0.1, -0.0]),
        }
    )
    found = rows(tmp_path, table)
    assert [row[0] for row in found] == [
        "0.0000000000", "-0.0000001877", "0.0000001877", "12345678901234567890123456.1234567891", "-5.0000000000",
    ]  # fmt: skip
    assert [row[1] for row in found] == ["0", "-5", str(2**62), "", "1"]
    assert [row[2] for row in found][:4] == ["0.5", "-2.5", "", "0.1"]


def test_it_is_the_same_as_arrows_own_writer_where_that_is_right(tmp_path):
    from pyarrow import csv as arrow

    table = pa.table(
        {
            'a "name"': ["x", None, 'say "y"', ""],
            "at": pa.array([datetime(2026, 1, 2, 3, 4, 5, 6, UTC), None, None, None], pa.timestamp("us", "UTC")),
            "local": pa.array([datetime(2026, 1, 2), None, None, None], pa.timestamp("us")),  # noqa: DTZ001
            "day": pa.array([date(2026, 1, 2), None, None, None]),
            "yes": [True, False, None, True],
            "price": pa.array([Decimal("1.5"), None, Decimal(-2), Decimal(3)], pa.decimal128(38, 10)),
            "n": pa.array([1, 2, None, -3], pa.int64()),
        }
    )
    arrow.write_csv(table, tmp_path / "arrow.csv")
    assert written(tmp_path, table) == (tmp_path / "arrow.csv").read_text(encoding="utf-8")


def test_no_rows_are_a_header(tmp_path):
    assert written(tmp_path, pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.int64())})) == '"a","b"\n'
