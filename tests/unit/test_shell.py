"""The shell of ``tickvault sql``: what it runs, offers, draws and survives; keys are typed into a pipe."""

import json
import stat
from contextlib import contextmanager
from decimal import Decimal

import pytest
from click.testing import CliRunner
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from tickvault.cli import root
from tickvault.cli.options import show
from tickvault.cli.shell import console as consoles
from tickvault.cli.shell import grid
from tickvault.cli.shell.completion import ShellCompleter
from tickvault.cli.shell.console import Console, Quit
from tickvault.cli.shell.prompt import HISTORY, converse
from tickvault.core.errors import ConfigError, TerminalError
from tickvault.query.catalogue import Catalogue, Column
from tickvault.query.script import is_complete, pieces, statements

CATALOGUE = Catalogue(
    {
        ("public", "raw_customers"): [Column("customer_id", "text", False), Column("tier", "text", True)],
        ("marts", "dim_asset"): [Column("asset_symbol", "text", True), Column("last_price", "numeric", True)],
        ("marts", "fct_transactions"): [Column("asset_symbol", "text", True), Column("net_amount", "numeric", True)],
        ("semantic", "metric_aum"): [Column("aum", "numeric", True)],
    }
)


@pytest.fixture
def asked(monkeypatch):
    """A list of what engines were asked; what they answer is two columns of one row."""
    heard = []

    @contextmanager
    def session(_settings, engine):
        def ask(sql, limit):
            heard.append((engine, sql))
            if "broken" in sql:
                raise TerminalError('relation "dim_aset" does not exist')
            if "slow" in sql:
                raise KeyboardInterrupt
            return ["symbol", "price"], [("BTC", Decimal("0E-10"))][:limit]

        yield ask
        heard.append((engine, "closed"))

    monkeypatch.setattr(consoles, "session", session)
    monkeypatch.setattr(consoles.Catalogue, "of", lambda *_: CATALOGUE)
    return heard


@pytest.fixture
def console(make_settings, asked):
    assert asked == []
    return Console(make_settings(), "postgres")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("select 1; select 2", ["select 1;", "select 2"]),
        ("select ';' -- a; b\n; /* ; */ ;", ["select ';' -- a; b\n;"]),
        ('select ";" , $$;$$, $a$ ; $$ $a$;x', ['select ";" , $$;$$, $a$ ; $$ $a$;', "x"]),
        ("select 1 - 2 / 3 $ ;", ["select 1 - 2 / 3 $ ;"]),
        ("-- nothing\n", []),
        ("select 'it''s;';", ["select 'it''s;';"]),
        (";;", []),
    ],
)
def test_statements_end_at_semicolons_outside_quotes(text, found):
    assert list(statements(text)) == found


def test_what_waits_for_more_is_not_complete():
    for text in ("select 1", "select ';", "select 1; select", "/* ;", "select $$;", 'select ";'):
        assert not is_complete(text), text
    for text in ("select 1;", "select 1; -- done", "select ';';"):
        assert is_complete(text), text


def test_a_script_mixes_statements_and_commands():
    script = "\\x on\nselect 1,\n 2; select 3;\n\\d dim_asset\nselect '\n\\q';\nselect 4"
    assert list(pieces(script)) == [
        "\\x on", "select 1,\n 2;", "select 3;", "\\d dim_asset", "select '\n\\q';", "select 4",
    ]  # fmt: skip


def test_a_table_aligns_numbers_and_hides_no_null_behind_an_exponent():
    lines = grid.table(["a", "name"], [(Decimal("0E-10"), "x"), (None, "two\nlines"), (-12, "漢字")])
    assert lines == [
        "a            | name",
        "-------------+-----------",
        "0.0000000000 | x",
        "             | two\\nlines",
        "         -12 | 漢字",
    ]
    assert list(grid.records(["a", "name"], [(1, None)]))[1:] == ["a    | 1", "name |"]


TRUTH = [(True, [True, None], {"a": False}, Decimal("0E-10")), (False, None, None, None)]


def test_a_boolean_is_true_or_false_wherever_it_is_shown(capsys):
    columns = ["yes", "list", "object", "n"]
    lines = grid.table(columns, TRUTH)
    assert lines[2] == 'true  | [true, null] | {"a": false} | 0.0000000000'
    assert lines[3].split() == ["false", "|", "|", "|"]
    assert [line.split("| ")[1] for line in grid.records(columns[:1], [(False,), (True,)]) if "|" in line] == [
        "false", "true",
    ]  # fmt: skip
    show(TRUTH, columns, as_json=False)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].rstrip() == 'true   [true, null]  {"a": false}  0.0000000000'
    assert shown[2].rstrip() == "false"
    show(TRUTH, columns, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"yes": True, "list": [True, None], "object": {"a": False}, "n": "0.0000000000"},
        {"yes": False, "list": None, "object": None, "n": None},
    ]


def test_a_text_with_brackets_or_colons_is_shown_as_it_is(capsys):
    show([("[bold]BTC[/bold] [Update] :rocket:",)], ["[title]"], as_json=False)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "[title]", "[bold]BTC[/bold] [Update] :rocket:",
    ]  # fmt: skip


def test_a_row_wider_than_the_terminal_stands_upright(console, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    console.interactive = True
    console.do("select 1;")
    assert "symbol | BTC\nprice  | 0.0000000000\n" in capsys.readouterr().out
    console.do("\\x off")
    console.do("select 1;")
    assert "symbol | price\n" in capsys.readouterr().out


def test_commands_describe_time_and_change_the_engine(make_settings, console, asked, capsys):
    console.do("\\dt marts;")
    listed = capsys.readouterr().out.splitlines()[2:]
    assert listed == [
        "marts  | dim_asset        |       2",
        "marts  | fct_transactions |       2",
    ]
    console.do("\\d dim_asset")
    assert "marts.dim_asset\n" in (shown := capsys.readouterr().out) and "last_price   | numeric" in shown
    console.do("\\timing")
    console.do("select 1;")
    assert "time: " in capsys.readouterr().err
    with pytest.raises(ConfigError, match="SNOWFLAKE_ACCOUNT is not set"):
        console.do("\\engine snowflake")
    with pytest.raises(ConfigError, match="did you mean 'trino'"):
        console.do("\\engine trinoo")
    console.settings = make_settings(trino_host="here")
    console.do("\\engine trino")
    console.do("select 2;")
    assert asked[-2:] == [("postgres", "closed"), ("trino", "select 2;")]
    console.do("\\?")
    shown = capsys.readouterr().out
    assert all(usage in shown for usage in consoles.HELP)
    with pytest.raises(Quit):
        console.do("\\q")


def test_what_is_misspelt_gets_a_near_name(console):
    with pytest.raises(TerminalError, match=r"does not exist\ndid you mean marts.dim_asset"):
        console.do("select broken;")
    with pytest.raises(ConfigError, match=r"did you mean marts\.fct_transactions"):
        console.do("\\d fct_transaction")
    with pytest.raises(ConfigError, match=r"no command \\dtt; did you mean '\\\\dt'"):
        console.do("\\dtt")
    with pytest.raises(ConfigError, match="no table in 'mart'; did you mean 'marts'"):
        console.do("\\dt mart")


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("Table 'iceberg.marts.dim_aset' does not exist", "marts.dim_asset"),
        ("Column 'asset_simbol' cannot be resolved", "asset_symbol"),
        ("Catalog Error: Table with name DIM_ASSET does not exist!", "marts.dim_asset"),
        ("Object 'TICKVAULT.MARTS.DIM_ASET' does not exist or not authorized.", "marts.dim_asset"),
        ("invalid identifier 'NET_AMOUNTS'", "net_amount"),
        ('relation "zzzzqq" does not exist', ""),
        ('syntax error at or near "form"', ""),
        ('column "tir" does not exist HINT: Perhaps you meant to reference the column "c.tier".', ""),
    ],
)  # fmt: skip
def test_every_engine_s_message_about_a_name_gets_its_hint(message, hint):
    said = CATALOGUE.hint(message)
    assert hint in said if hint else not said


def offered(text):
    completer = ShellCompleter(lambda: CATALOGUE, lambda: "snowflake")
    return [c.text for c in completer.get_completions(Document(text), CompleteEvent())]


def test_what_may_come_next_is_offered():
    assert offered("select * from ma") == ["marts.", "marts.dim_asset", "marts.fct_transactions"]
    assert offered("select * from marts.d") == ["marts.dim_asset"]
    assert offered("select * from raw") == ["raw_customers"]
    assert offered("select * from marts.dim_asset a where a.last") == ["a.last_price"]
    assert offered("select net_am") == []
    assert "net_amount" in offered("select 1 from marts.fct_transactions where net_am")
    assert "QUALIFY" in offered("select 1 QUA") and "qualify" in offered("select 1 qua")
    assert offered("\\d") == ["\\dt"]
    assert offered("\\engine s") == ["snowflake"]
    assert offered("") == []


def test_the_shell_goes_on_after_errors_interrupts_and_half_statements(console, asked, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with create_pipe_input() as keys:
        keys.send_text("select broken;\r")
        keys.send_text("select slow;\r")
        keys.send_text("forgotten\x03")  # Ctrl-C
        keys.send_text("select 'a\r;',\r 2;\r")
        keys.send_text("\\q\r")
        console.interactive = True
        converse(console, (keys, DummyOutput()))
    shown = capsys.readouterr()
    assert "did you mean marts.dim_asset" in shown.err and "cancelled" in shown.out and "(1 row)" in shown.out
    heard = [sql for _, sql in asked]
    assert heard == ["select broken;", "select slow;", "closed", "select 'a\n;',\n 2;"]
    history = tmp_path / HISTORY
    assert "forgotten" not in history.read_text() and "select slow;" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_the_end_of_the_input_leaves(console, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    with create_pipe_input() as keys:
        keys.send_text("\x04")
        converse(console, (keys, DummyOutput()))


def test_a_script_stops_at_the_first_error(asked, monkeypatch):
    monkeypatch.setenv("POSTGRES_HOST", "nowhere")
    told = CliRunner().invoke(root, ["sql", "-c", "select 1; select broken; select 3"])
    assert isinstance(told.exception, TerminalError)
    assert asked == [("postgres", "select 1;"), ("postgres", "select broken;"), ("postgres", "closed")]
    told = CliRunner().invoke(root, ["sql"], input="select 1;\n\\q\nselect 2;")
    assert told.exit_code == 0 and told.output.startswith("symbol | price\n")
