"""Where a model or table is on an engine, by its name."""

import re

from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.suggestion import suggestion
from tickvault.query.read import read

_PUBLIC = ("marts", "semantic")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,2}")


def published(settings: Settings, engine: str, model: str) -> str:
    """Return the public view of a mart, or of a semantic model."""
    schema = "semantic" if model.startswith(("semantic_", "metric_")) else "marts"
    if engine == "postgres":
        return f"{schema}.{model}"
    if engine == "trino":
        return f"{settings.trino_lake_catalog}.{schema}.{model}"
    return f"{settings.snowflake_database}.{schema}.{model}".upper()


def find(settings: Settings, engine: str, name: str) -> str:
    """Return the full name of a mart, a semantic model, a raw table, or of anything named with its schema.

    Raises:
        ConfigError: It is no name, or there is nothing of this name; near ones are suggested.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"'{name}' is no table's name; give a model, or schema.table")
    database = {"trino": settings.trino_lake_catalog, "snowflake": settings.snowflake_database.upper()}
    if "." in name:
        whole = name.count(".") > 1 or engine == "postgres"
        return name if whole else f"{database[engine]}.{name}"
    known = _known(settings, engine)
    if name.lower() not in known:
        nothing = None if known else "there are: none yet"
        hint = suggestion(name.lower(), sorted(known), nothing, most=3, cutoff=0.5, quoted=False)
        raise ConfigError(f"{engine} has no published model or raw table '{name}'; {hint}")
    return known[name.lower()]


def _known(settings: Settings, engine: str) -> dict[str, str]:
    """Return the full name of everything one may name without its schema."""
    if engine == "postgres":
        schemas, prefix = [*_PUBLIC, "public"], ""
    elif engine == "trino":
        schemas, prefix = list(_PUBLIC), f"{settings.trino_lake_catalog}."
    else:
        schemas = [s.upper() for s in (*_PUBLIC, settings.snowflake_schema, settings.snowflake_schema_staging)]
        prefix = f"{settings.snowflake_database.upper()}."
    wanted = ", ".join(f"'{s}'" for s in schemas)
    # The emulator lists views among the views only.
    sql = " UNION ".join(
        f"SELECT table_schema, table_name FROM {prefix}information_schema.{kind} WHERE table_schema IN ({wanted})"
        for kind in ("tables", "views")
    )
    _, rows = read(settings, engine, sql, 10_000)
    found = {str(table).lower(): f"{prefix}{schema}.{table}" for schema, table in rows}
    if engine == "snowflake":  # raw tables by the names they have elsewhere, too
        from tickvault.core.stream import Area  # they bring Arrow, which the other engines' answers do without
        from tickvault.market import streams

        area = {Area.BATCH: settings.snowflake_schema, Area.PRICES: settings.snowflake_schema_staging}
        for stream in streams.ALL:
            found.setdefault(stream.name, f"{prefix}{area[stream.area]}.{stream.warehouse_table}")
    return found
