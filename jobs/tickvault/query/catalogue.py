"""What an engine lets the reader see: relations and their columns, and near names for one that is unknown."""

import difflib
import re
from dataclasses import dataclass, field

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.query.read import Ask

_MOST = 100_000
_UNKNOWN = re.compile(
    r"does not exist|cannot be resolved|invalid identifier|not found|unknown|no such|missing FROM-clause", re.IGNORECASE
)
_NAME = re.compile(r"""["'`«]([\w.]+)["'`»]|(?:column|table|relation|schema|name) ([\w.]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, the engine's word for its type, whether it may be null."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Relations by (schema, name), with their columns in order; names as one types them."""

    relations: dict[tuple[str, str], list[Column]] = field(default_factory=dict)

    @classmethod
    def of(cls, ask: Ask, settings: Settings, engine: str) -> "Catalogue":
        """Read what the reader sees; errors as of ``read``."""
        database = {"snowflake": settings.snowflake_database.upper(), "trino": settings.trino_lake_catalog}
        prefix = f"{database[engine]}." if engine in database else ""
        _, rows = ask(
            "SELECT table_schema, table_name, column_name, data_type, is_nullable"
            f" FROM {prefix}information_schema.columns"
            " WHERE lower(table_schema) NOT IN ('information_schema', 'pg_catalog')"
            " ORDER BY table_schema, table_name, ordinal_position",
            _MOST,
        )
        found = cls()
        for schema, table, column, kind, nullable in rows:
            key = (_typed(schema), _typed(table))
            told = Column(_typed(column), str(kind).lower(), str(nullable).upper() in {"YES", "Y", "TRUE"})
            found.relations.setdefault(key, []).append(told)
        return found

    @property
    def schemas(self) -> list[str]:
        """Every schema in which there is something."""
        return list(dict.fromkeys(schema for schema, _ in self.relations))

    def named(self, name: str) -> list[tuple[str, str]]:
        """Return the relations a name may mean: table, schema.table or catalog.schema.table."""
        *schema, table = name.lower().replace('"', "").split(".")
        return [key for key in self.relations if key[1] == table and (not schema or key[0] == schema[-1])]

    def find(self, name: str) -> tuple[str, str]:
        """Return the one relation of a name, the published one first.

        Raises:
            ConfigError: There is none of this name; near ones are suggested.
        """
        found = sorted(self.named(name), key=lambda key: key[0] not in {"marts", "semantic"})
        if not found:
            raise ConfigError(f"there is no table '{name}' that the reader may see; {self.near(name)}")
        return found[0]

    def near(self, name: str) -> str:
        """Suggest relations and columns like this one, with the schema where it is needed."""
        return self._nearest(name.lower(), cutoff=0.6) or "see \\dt"

    def hint(self, message: str) -> str:
        """Return «did you mean …?» for an engine's message about something unknown, "" for any other."""
        if not _UNKNOWN.search(message) or re.search("perhaps you meant|did you mean", message, re.IGNORECASE):
            return ""
        known = {word for schema, table in self.relations for word in (schema, table, f"{schema}.{table}")}
        for found in _NAME.finditer(message):
            name = (found[1] or found[2]).lower()
            full = [f"{schema}.{table}" for schema, table in self.named(name) if schema != "public"]
            if full and "." not in name:
                return f"did you mean {' or '.join(full)}?"
            if name not in known and (said := self._nearest(name)):
                return said
        return ""

    def _nearest(self, name: str, cutoff: float = 0.7) -> str:
        """Suggest what is like the name, else what is like its last part."""
        for part in dict.fromkeys((name, name.rsplit(".", 1)[-1])):
            sayable = self._sayable(part)
            if near := difflib.get_close_matches(part, sayable, cutoff=cutoff):
                return f"did you mean {' or '.join(dict.fromkeys(sayable[word] for word in near))}?"
        return ""

    def _sayable(self, name: str) -> dict[str, str]:
        """Give what a name of this kind, with a schema or without, is compared with, and what to say then."""
        tables = {(s, t): t if s == "public" else f"{s}.{t}" for s, t in self.relations}
        if "." in name:
            return {f"{s}.{t}": said for (s, t), said in tables.items()}
        columns = {c.name: c.name for columns in self.relations.values() for c in columns}
        return columns | {t: said for (_, t), said in tables.items()}


def _typed(name: object) -> str:
    """Write a name as one types it: Snowflake folds to upper case what has no quotes."""
    text = str(name)
    return text.lower() if text.isupper() else text
