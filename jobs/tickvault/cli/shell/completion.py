"""What the shell offers while one types: commands, schemas, tables, columns and the engine's keywords."""

import re
from collections.abc import Callable, Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from tickvault.cli.shell.console import HELP
from tickvault.core.engine import ENGINES
from tickvault.core.errors import PlatformError
from tickvault.query.catalogue import Catalogue

_KEYWORDS = (
    "all and as asc between by case cast coalesce count cross current_date current_timestamp desc distinct else end "
    "except exists explain extract false filter first from full group having in inner intersect interval is join "
    "last lateral left like limit max min not null nulls offset on or order outer over partition right row_number "
    "rows select sum table then true union using values when where with avg round lag lead"
)
_ONLY = {
    "postgres": "any array_agg date_trunc generate_series ilike percentile_cont similar string_agg to_char unnest",
    "snowflake": "array_agg dateadd datediff date_trunc flatten iff ilike listagg pivot qualify sample try_cast",
    "trino": "approx_distinct approx_percentile array_agg date_add date_diff date_trunc listagg tablesample try_cast"
    " unnest timestamp_tz version",
}
_TYPED = re.compile(r"[\w.\\?]*\Z")
_USED = re.compile(r"\b(?:from|join)\s+([\w.]+)(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE)
_WANTS_TABLE = re.compile(r"(?:\b(?:from|join|table|describe|desc)|\\d)\s+[\w.]*\Z", re.IGNORECASE)
_COMMANDS = tuple(usage.split()[0] for usage in HELP)


class ShellCompleter(Completer):
    """Completes the word before the cursor.

    Args:
        catalogue: Gives what can be named; asked when the first name is wanted.
        engine: Gives the engine asked now.
    """

    def __init__(self, catalogue: Callable[[], Catalogue], engine: Callable[[], str]) -> None:
        self._catalogue, self._engine = catalogue, engine

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Yield what begins as what was typed; tables first after FROM, else the columns of the tables in use."""
        _ = complete_event
        before = document.text_before_cursor
        found = _TYPED.search(before)
        typed = found[0] if found else ""
        if not typed and not before.strip():
            return
        for text, kind in dict(self._offered(before, document.text, typed)).items():
            if text.lower().startswith(typed.lower()) and text.lower() != typed.lower():
                yield Completion(_as_typed(text, typed, kind), -len(typed), display=text, display_meta=kind)

    def _offered(self, before: str, whole: str, typed: str) -> Iterable[tuple[str, str]]:
        if before.lstrip().startswith("\\") and " " not in before.lstrip():
            return [(command, "command") for command in _COMMANDS]
        if before.lstrip().startswith("\\engine"):
            return [(name, "engine") for name in ENGINES]
        if before.lstrip().startswith("\\x"):
            return [(word, "") for word in ("on", "off", "auto")]
        try:
            catalogue = self._catalogue()
        except PlatformError:  # the next statement will say it
            catalogue = Catalogue()
        if _WANTS_TABLE.search(before):
            return _tables(catalogue)
        return [*_columns(catalogue, whole, typed), *self._keywords(), *_tables(catalogue)]

    def _keywords(self) -> list[tuple[str, str]]:
        return [(word, "keyword") for word in sorted({*_KEYWORDS.split(), *_ONLY[self._engine()].split()})]


def _tables(catalogue: Catalogue) -> list[tuple[str, str]]:
    schemas = [(f"{schema}.", "schema") for schema in catalogue.schemas]
    bare = [(table, "table") for schema, table in catalogue.relations if schema == "public"]
    return [*bare, *schemas, *((f"{schema}.{table}", "table") for schema, table in catalogue.relations)]


def _columns(catalogue: Catalogue, whole: str, typed: str) -> Iterator[tuple[str, str]]:
    """Yield the columns of the tables in FROM and JOIN; behind ``alias.`` those of that one, with the alias."""
    owner = typed.rpartition(".")[0].lower()
    for used in _USED.finditer(whole):
        name, alias = used[1].lower(), (used[2] or "").lower()
        for key in catalogue.named(name):
            for column in catalogue.relations[key]:
                if not owner:
                    yield column.name, column.type
                elif owner in {alias, key[1], name}:
                    yield f"{typed.rpartition('.')[0]}.{column.name}", column.type


def _as_typed(text: str, typed: str, kind: str) -> str:
    return text.upper() if kind == "keyword" and typed.isupper() else text
