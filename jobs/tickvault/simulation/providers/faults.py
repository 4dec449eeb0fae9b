"""Faults on demand: what a provider can do to a client, switched on through ``/_control/faults``.

A fault is ``{"provider", "kind", "path"?, "symbols"?, "times"?, "retry_after"?}``. It applies to requests of that
provider whose path contains ``path`` and that mention one of ``symbols`` (either may be left out), ``times`` times
(else until faults are reset). Kinds:

- of the whole answer: ``429`` ``418`` (with Retry-After: ``retry_after``), ``401`` ``451`` ``500``, ``html200`` (a web
  page with status 200), ``truncated`` (half of the body), ``slow`` (waits ``retry_after`` seconds, 5 if not given);
- of records, those of ``symbols`` or else the first: ``missing_symbols`` ``duplicate`` ``malformed_number`` ``nan``
  ``negative`` ``future`` (its time lies two days ahead).
"""

import threading
from dataclasses import dataclass, field, fields
from typing import Any

STATUS_KINDS = ("429", "418", "451", "401", "500")
ANSWER_KINDS = (*STATUS_KINDS, "slow", "truncated", "html200")
RECORD_KINDS = ("missing_symbols", "malformed_number", "nan", "negative", "future", "duplicate")


@dataclass(slots=True)
class Fault:
    """One fault; ``times`` counts down and None never ends."""

    provider: str
    kind: str
    path: str = ""
    symbols: tuple[str, ...] = ()
    times: int | None = None
    retry_after: float | None = None

    @classmethod
    def parse(cls, given: dict[str, Any]) -> "Fault":
        """Read a fault from JSON.

        Raises:
            ValueError: A key or kind is unknown, or provider or kind is missing.
        """
        unknown = set(given) - {f.name for f in fields(cls)}
        kind = str(given.get("kind", ""))
        if unknown or not given.get("provider"):
            raise ValueError(f"a fault needs 'provider' and knows no {sorted(unknown)}")
        if kind not in ANSWER_KINDS + RECORD_KINDS:
            raise ValueError(f"unknown kind '{kind}': choose from {', '.join(ANSWER_KINDS + RECORD_KINDS)}")
        return cls(**{**given, "kind": kind, "symbols": tuple(given.get("symbols") or ())})

    def as_json(self) -> dict[str, Any]:
        """Give the fault in the form it is read from."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(slots=True)
class Faults:
    """The faults that are switched on."""

    active: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, provider: str, path: str, mentioned: set[str], *, spoilable: bool) -> Fault | None:
        """Give the first fault that applies to a request, and use up one of its times."""
        with self._lock:
            for fault in self.active:
                fits = fault.provider == provider and fault.path in path
                fits = fits and (not fault.symbols or bool(mentioned & set(fault.symbols)))
                if fits and fault.times != 0 and (spoilable or fault.kind in ANSWER_KINDS):
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault
        return None
