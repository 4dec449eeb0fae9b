"""A package: what one run of one stream landed in the lake, sealed by its manifest."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

import pyarrow as pa

from tickvault.core import bounds, redaction
from tickvault.core.errors import LoadRejectedError, PlatformError
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.core.values import plain

Cursor = dict[str, Any]
"""Where to resume: one entry per symbol, or the single entry ``""`` for a stream without symbols. Plain JSON."""


class DamagedPackageError(LoadRejectedError):
    """A sealed package cannot be read: its manifest or one of its parts is lost or altered, or not what it claims.

    Args:
        what: What is wrong, in words, with the key of the object.
        slot: The slot it was sealed for, which is what the way out is called with.
    """

    def __init__(self, what: str, slot: Slot | str) -> None:
        super().__init__(f"{what}; 'tickvault lake repair --slot {slot}' reads it again as a further revision")


class NewerPackageError(DamagedPackageError):
    """A newer version of the platform sealed this: it is whole, and this version must not guess what it means."""

    def __init__(self, what: str, slot: Slot | str) -> None:
        LoadRejectedError.__init__(
            self,
            f"{what}: update Tickvault; 'tickvault lake repair --slot {slot} --anyway' reads it again instead",
        )


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
class Choice:
    """What a person asked for of a slot; a package without one holds whatever the settings ask for.

    Args:
        symbols: Only these; None: all.
        days: This much of history; None: what the settings say.
    """

    symbols: tuple[str, ...] | None = None
    days: int | None = None

    @classmethod
    def of(cls, symbols: tuple[str, ...] | None, days: int | None) -> "Choice | None":
        """Return the choice, None where none was made."""
        if not symbols and days is None:
            return None
        named = dict.fromkeys(bounds.text(s.strip().upper(), bounds.ITEM_CHARACTERS) for s in symbols or ())
        return cls(tuple(named) or None, days)

    def covers(self, other: "Choice | None") -> bool:
        """Tell whether whoever asks for the other gets nothing that was not asked for here."""
        if other is None or self.days != other.days:
            return False
        return self.symbols is None or set(other.symbols or ("",)) <= set(self.symbols)


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why a package is read, beyond that its slot has come; see the fields of the same names in ``Package``."""

    replays: tuple[str, ...] = ()
    choice: Choice | None = None
    supersedes: tuple[str, ...] = ()


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
    choice: Choice | None = None
    """What a person chose to read; the slot is not complete by it."""
    supersedes: tuple[str, ...] = field(default=())
    """Packages that cannot be read any more, or that a target refuses: this one was read in their place."""

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
        for name in ("choice", "supersedes"):  # versions that do not know them read a manifest that needs neither
            if not body[name]:
                del body[name]
        body |= {"id": self.id, "slot": self.slot.id, "landed_at": self.landed_at.isoformat()}
        body["declares"] = self.declares.to_dict() if self.declares else None
        return json.dumps(body, indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes, key: str = "a manifest", slot: Slot | str = "SLOT") -> Self:
        """Read a manifest.

        Args:
            data: Its bytes.
            key: Where it lies, and ``slot``, for whom: for messages.
            slot: The slot.

        Raises:
            DamagedPackageError: It is cut off, is no manifest, or states another id than it has.
            NewerPackageError: It has fields that this version does not know.
        """
        try:
            body = bounds.json_value(json.loads(data))
            stated = body.pop("id")
            if unknown := sorted(body.keys() - {f.name for f in fields(cls)}):
                raise NewerPackageError(f"{key} is of a newer version, it has the field '{unknown[0]}'", slot)
            package = cls(**body | _typed(body))
        except DamagedPackageError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, PlatformError) as error:
            raise DamagedPackageError(
                f"{key} cannot be read: {type(error).__name__}: {str(error)[:200]}", slot
            ) from error
        if package.id != stated:
            raise DamagedPackageError(f"{key} states the id {stated}, but is that of {package.id}", slot)
        return package


def _typed(body: dict[str, Any]) -> dict[str, Any]:
    """Return what is more than plain JSON in a manifest."""
    choice = body.get("choice")
    return {
        "slot": Slot.parse(body["slot"]),
        "revision": int(body["revision"]),
        "parts": tuple(Part(**p) for p in body["parts"]),
        "outcomes": tuple(Outcome(o["item"], OutcomeStatus(o["status"]), o["detail"]) for o in body["outcomes"]),
        "rejects": Part(**body["rejects"]) if body["rejects"] else None,
        "landed_at": datetime.fromisoformat(body["landed_at"]),
        "replays": tuple(body["replays"]),
        "supersedes": tuple(body.get("supersedes", ())),
        "choice": Choice(tuple(choice["symbols"]) if choice["symbols"] else None, choice["days"]) if choice else None,
        "declares": Stream.from_dict(body["declares"]) if body.get("declares") else None,
    }


def _clean(made: Outcome | Reject, *names: str) -> None:
    for name in names:
        object.__setattr__(made, name, redaction.data(plain(getattr(made, name))))


def fingerprint(schema: pa.Schema) -> str:
    """Return 16 hex digits that change when a column's name, type, order or nullability does."""
    text = "\n".join(f"{f.name} {f.type} {f.nullable}" for f in schema)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
