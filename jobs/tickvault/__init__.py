"""Tickvault: a stock and crypto data platform.

What ran once counts once, only what passed is published, and a run never lies.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickvault.warehouse.reader import Reader

__all__ = ["connect"]


def connect(engine: str | None = None) -> "Reader":
    """Give a connection that reads what is published, for a notebook or a script.

    It goes where the settings (environment, ``.env``) say; without any, to the demo's engines where they run::

        import tickvault

        with tickvault.connect() as vault:
            vault.frame("select * from marts.dim_asset")
            vault.metric("revenue", by=["tier"])

    Args:
        engine: postgres, snowflake or trino; the first that is built and set up by default.

    Raises:
        ConfigError: Nothing is set up.
        SinkUnavailableError: The engine does not answer.
    """
    from contextlib import ExitStack

    from tickvault.core.settings import Settings
    from tickvault.local.nearby import within_reach
    from tickvault.warehouse.reader import Reader
    from tickvault.warehouse.target import default_engine

    with ExitStack() as held:
        settings = held.enter_context(within_reach(Settings.load(), ["status"]))
        reader = Reader(settings, engine or default_engine(settings), held)
    return reader  # noqa: RET504 - within the block, leaving it might swallow an error
