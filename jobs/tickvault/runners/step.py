"""A step: one call of ``tickvault`` that a runner makes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One call of ``tickvault``, run as a process or as a Kubernetes Job.

    Args:
        name: Unique in its flow and the same in each: the first part of the Kubernetes Job's name.
        job: Name of the CronJob it is made from.
        argv: Arguments of ``tickvault``; the slot is given as ``TICKVAULT_SLOT``.
        retries: Further attempts after one that may pass.
        retry_delays: Seconds before each of them.
        after: The step without which this one makes no sense.
    """

    name: str
    job: str
    argv: tuple[str, ...]
    retries: int = 0
    retry_delays: tuple[float, ...] = ()
    after: str | None = None
