"""What only reads is told from what may write, by how it begins."""

import pytest

from tickvault.core.errors import TerminalError
from tickvault.query.statement import require_reading


@pytest.mark.parametrize(
    "sql",
    [
        "select 1", " SELECT 1 ; ", "-- why\nselect 1", "/* a\nb */ -- c\n (select 1) union (select 2)", "((select 1))",
        "with a as (select 1) select * from a", "values (1)", "table x", "show tables", "describe x", "desc x",
        "explain select 1", "explain (type validate) select 1", "EXPLAIN ANALYZE VERBOSE (select 1)",
        "explain using text select 1",
        "select ';' as \"a;b\" -- ;\n/* ; */;;", "select '->>' from x where a = ';'", "select a ->> 'b' from c",
    ],
)  # fmt: skip
def test_what_reads_passes(sql):
    assert require_reading(sql, "postgres") == sql.strip().rstrip(";").strip()


@pytest.mark.parametrize(
    "sql",
    [
        "delete from x", "COMMIT; DROP TABLE x", "drop table x", "", ";", "/* select */ truncate x",
        "--select\ndelete x",
        "explain analyze delete from x", "explain (analyze) insert into x values (1)", "explain explain delete from x",
        "copy (select 1) to program 'x'", "do $$ begin end $$", "call x()", "execute immediate 'x'", "set role none",
        "begin", "selectx 1", "(delete from x)",
        "merge into x", "create table a as select 1", "put file://x @y",
        "explain using text delete from x", "select 1; select 2", r"select '\'; drop table x; --'",
        "select $$'$$; drop table x; select $$'$$", "grant all on x to y", "/* select 1", "use role accountadmin", "1",
        "\0select",
    ],
)  # fmt: skip
@pytest.mark.parametrize("engine", ["postgres", "snowflake", "trino"])
def test_what_may_write_is_refused(sql, engine):
    with pytest.raises(TerminalError, match="only one statement that reads"):
        require_reading(sql, engine)


def test_snowflakes_pipe_to_another_statement_is_refused():
    with pytest.raises(TerminalError):
        require_reading("select 1 ->> delete from x", "snowflake")
