"""A package: what one run of one stream landed in the lake, sealed by its manifest."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

import pyarrow as pa

from tickvault.core import redaction
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.core.values import plain

Cursor = dict[str, Any]
"""Where to resume: one entry per symbol, or the single entry ``""`` for a stream without symbols. Plain JSON."""


class OutcomeStatus(StrEnum):
    """What became of one symbol (or article, or coin)."""

    OK = "ok"
    FAILED = "failed"
    """It was asked for and did not come: the run is partial."""
    NOT_OFFERED = "not_offered"
    """The source does not list it: shown, no failure."""
    OFF = "off"
    """The source has no key or address: shown, no failure."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one thing a source was asked for."""

    item: str
    status: OutcomeStatus
    detail: str = ""

    def __post_init__(self) -> None:
        """Blot out secrets, and what the ledger cannot store: details quote what providers answer."""
        _clean(self, "item", "detail")


@dataclass(frozen=True, slots=True)
class Reject:
    """A record put aside.

    Args:
        item: The symbol or key it belongs to.
        column: The column that is wrong, or "" for the record as a whole.
        reason: Why, in words.
        record: The record as it came, JSON-able.
    """

    item: str
    column: str
    reason: str
    record: dict[str, Any]

    def __post_init__(self) -> None:
        """Blot out secrets, and what the ledger cannot store: a record is what a provider sent."""
        _clean(self, "item", "reason", "record")


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet (or JSON lines) object of a package."""

    key: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """A sealed package; equal to its manifest."""

    source: str
    stream: str
    slot: Slot
    revision: int
    manifest_key: str
    rows: int
    parts: tuple[Part, ...]
    fingerprint: str
    cursor: Cursor | None
    outcomes: tuple[Outcome, ...]
    rejects: Part | None
    rejected: int
    run_id: str
    landed_at: datetime
    replays: tuple[str, ...] = field(default=())
    """Packages whose rejects this one replays."""
    declares: Stream | None = None
    """The stream as it was when this landed, so that loading needs nothing else; None in manifests of before."""

    @property
    def id(self) -> str:
        """The same for whoever lands this slot and revision, so that a repetition cannot become a second package."""
        return f"{self.source}.{self.stream}.{self.slot.id}.r{self.revision}"

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes that make a run partial."""
        return tuple(o for o in self.outcomes if o.status is OutcomeStatus.FAILED)

    def to_json(self) -> bytes:
        """Return the manifest's bytes."""
        body = asdict(replace(self, declares=None))
        body |= {"id": self.id, "slot": self.slot.id, "landed_at": self.landed_at.isoformat()}
        body["declares"] = self.declares.to_dict() if self.declares else None
        return json.dumps(body, indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a manifest."""
        body = json.loads(data)
        body.pop("id")
        return cls(
            **body
            | {
                "slot": Slot.parse(body["slot"]),
                "parts": tuple(Part(**p) for p in body["parts"]),
                "outcomes": tuple(
                    Outcome(o["item"], OutcomeStatus(o["status"]), o["detail"]) for o in body["outcomes"]
                ),
                "rejects": Part(**body["rejects"]) if body["rejects"] else None,
                "landed_at": datetime.fromisoformat(body["landed_at"]),
                "replays": tuple(body["replays"]),
                "declares": Stream.from_dict(body["declares"]) if body.get("declares") else None,
            }
        )


def _clean(made: Outcome | Reject, *names: str) -> None:
    for name in names:
        object.__setattr__(made, name, redaction.data(plain(getattr(made, name))))


def fingerprint(schema: pa.Schema) -> str:
    """Return 16 hex digits that change when a column's name, type, order or nullability does."""
    text = "\n".join(f"{f.name} {f.type} {f.nullable}" for f in schema)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
