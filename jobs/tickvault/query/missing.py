"""Says of a statement Snowflake does not know a name in which name that is, and what comes near it."""

import re

from tickvault.core.errors import PlatformError, TerminalError
from tickvault.core.settings import Settings
from tickvault.core.suggestion import suggestion
from tickvault.engines.snowflake.session import Connection, MissingObjectError

_NAMED = re.compile(r'\b(?:from|join)\s+((?:[\w$]+|"[^"]+")(?:\.(?:[\w$]+|"[^"]+")){0,2})', re.IGNORECASE)
_OWN_NAME = re.compile(r"(?:\bwith\b|,)\s*([\w$]+)\s+as\s*\(", re.IGNORECASE)


def missing(connection: Connection, settings: Settings, sql: str, error: MissingObjectError) -> PlatformError:
    """Return the error to raise: of a mistyped name where there are tables, the given one where nothing is set up.

    Args:
        connection: Asked what there is.
        settings: Name the database.
        sql: The statement.
        error: What Snowflake said of it.
    """
    database = settings.snowflake_database.upper()
    try:
        rows = [
            row
            for kind in ("TABLES", "VIEWS")  # the emulator lists views among the views only
            for row in connection.run(f"SELECT TABLE_SCHEMA, TABLE_NAME FROM {database}.INFORMATION_SCHEMA.{kind}")
        ]
    except PlatformError:
        return error
    known = sorted({f"{schema}.{table}".upper() for schema, table in rows if schema != "INFORMATION_SCHEMA"})
    if not known:
        return error
    own = {name.upper() for name in _OWN_NAME.findall(sql)}
    for name in _NAMED.findall(sql):
        plain = name.replace('"', "").upper().removeprefix(f"{database}.")
        if plain in own or plain in known or plain.startswith("INFORMATION_SCHEMA."):
            continue
        if "." not in plain:
            same = [each for each in known if each.endswith(f".{plain}")]
            near = f"name it with its schema: {' or '.join(same)}" if same else _near(plain, known, whole=False)
        else:
            near = _near(plain, known, whole=True)
        return TerminalError(f"Snowflake's database {database} has no table or view {name}; {near}")
    return TerminalError(str(error.__cause__ or error))


def _near(name: str, known: list[str], *, whole: bool) -> str:
    names = {each if whole else each.partition(".")[2]: each for each in known}
    hint = suggestion(name, names, "", quoted=False)
    for short, full in names.items():
        hint = re.sub(rf"(?<![\w.]){re.escape(short)}(?![\w.])", full, hint)
    return hint or f"its schemas are {', '.join(sorted({each.partition('.')[0] for each in known}))}"
