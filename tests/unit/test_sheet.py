"""What a spreadsheet opens: nothing runs, every number is plain, and any CSV reader gives back what was there."""

import csv
import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from tickvault.core.sheet import NUMBER, Sheet

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


PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")
DOUBLES = [1e-7, -2.5e-10, 1e20, 123456789012.5, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3, 0.0, 100.0]


def test_doubles_are_plain_and_come_back_the_same(tmp_path):
    found = [row[0] for row in rows(tmp_path, pa.table({"f": DOUBLES}))]
    assert all(PLAIN_NUMBER.fullmatch(cell) for cell in found), found
    assert [float(cell) for cell in found] == DOUBLES
    assert found[:3] == ["0.0000001", "-0.00000000025", "100000000000000000000"]
    values = pa.array([1.5e-7, None, float("nan"), float("-inf")], pa.float32())
    single = pa.table({"f": values, "n": [1, 2, 3, 4]})
    assert [row[0] for row in rows(tmp_path, single)] == ["0.00000015", "", "nan", "-inf"]


def test_numbers_that_come_as_text_stay_numbers(tmp_path):
    field = pa.field("sum", pa.string(), metadata=NUMBER)
    table = pa.table({"sum": ["-1.5", None, "0.0000000000"]}, schema=pa.schema([field]))
    assert written(tmp_path, table) == '"sum"\n-1.5\n\n0.0000000000\n'


READ_BACK = pa.table(
    {
        "t": ["", None, "=1+1", "a,b", 'say "x"', "two\r\nlines", "é 😀", "-1.5", "NULL"],
        "d": pa.array([Decimal(0), Decimal("-0.0000001877"), None] + [Decimal(7)] * 6, pa.decimal128(38, 10)),
        "f": [1e-7, -1.5, None, 0.1, 1e20, 3.0, 0.0, 1.0, 2.0],
        "n": [1, -1, None, 0, 5, 6, 7, 8, 9],
    }
)
TEXTS = ["", None, "'=1+1", "a,b", 'say "x"', "two\r\nlines", "é 😀", "'-1.5", "NULL"]


def test_duckdb_reads_the_same_back_and_tells_a_null_from_nothing(tmp_path):
    import duckdb

    written(tmp_path, READ_BACK)
    types = "{'t': 'VARCHAR', 'd': 'DECIMAL(38,10)', 'f': 'DOUBLE', 'n': 'BIGINT'}"
    options = f"header = true, columns = {types}, allow_quoted_nulls = false, strict_mode = true"
    found = duckdb.sql(f"SELECT * FROM read_csv('{tmp_path / 'x.csv'}', {options})").fetchall()
    t, d, f, n = map(list, zip(*found, strict=True))
    assert t == TEXTS
    assert (d, f, n) == tuple(READ_BACK.column(name).to_pylist() for name in "dfn")


def test_pandas_reads_the_same_back(tmp_path):
    import pandas as pd

    written(tmp_path, READ_BACK)
    found = pd.read_csv(tmp_path / "x.csv", keep_default_na=False, na_values={"d": [""], "f": [""], "n": [""]})
    assert found["t"].tolist() == [text or "" for text in TEXTS]
    assert found["f"].dropna().tolist() == [v for v in READ_BACK.column("f").to_pylist() if v is not None]
    assert found["n"].dropna().tolist() == [v for v in READ_BACK.column("n").to_pylist() if v is not None]
    assert found["d"].dtype == float and found["d"].isna().sum() == 1


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
