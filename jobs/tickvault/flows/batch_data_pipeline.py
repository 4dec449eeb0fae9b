"""The flow ``batch-data-pipeline``."""

from typing import Any

from prefect import State, flow

from tickvault.flows.pipeline import OPTIONS, run_pipeline


@flow(name="batch-data-pipeline", **OPTIONS)
def batch_data_pipeline(slot: str | None = None, force: bool = False) -> "State[Any]":
    """Simulated customers and trades, and crypto news, into the lake and every target.

    Args:
        slot: Slot to run, such as 20261120T130000Z; by default the time the run was scheduled for.
        force: Read the sources again although the slot is complete.
    """
    return run_pipeline("batch-data-pipeline", slot, force=force)
