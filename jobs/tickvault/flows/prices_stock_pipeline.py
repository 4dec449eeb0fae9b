"""The flow ``prices-stock-pipeline``."""

from typing import Any

from prefect import State, flow

from tickvault.flows.pipeline import OPTIONS, run_pipeline


@flow(name="prices-stock-pipeline", **OPTIONS)
def prices_stock_pipeline(slot: str | None = None, force: bool = False) -> "State[Any]":
    """Stock prices of Yahoo into the lake and every target.

    Args:
        slot: Slot to run, such as 20261120T130000Z; by default the time the run was scheduled for.
        force: Read the sources again although the slot is complete.
    """
    return run_pipeline("prices-stock-pipeline", slot, force=force)
