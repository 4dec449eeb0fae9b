"""The contract of a source: what it is given, and what it yields. One module beside this per provider."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from tickvault.core.batch import Batch
from tickvault.core.package import Cursor
from tickvault.core.records import RecordBuilder
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
from tickvault.engines.http.client import HttpClient


@dataclass(frozen=True, slots=True)
class Context:
    """What a source may use. ``symbols`` and ``days`` are the user's own choice, None where he made none.

    ``missing`` names the symbols an earlier read of the slot left out, when only they are to be read.
    """

    settings: Settings
    http: HttpClient
    slot: Slot
    symbols: tuple[str, ...] | None = None
    days: int | None = None
    missing: tuple[str, ...] = ()

    @property
    def now(self) -> datetime:
        """The current time, UTC; simulated where ``TICKVAULT_CLOCK`` is set."""
        return self.settings.tickvault_clock or datetime.now(UTC)

    def builder(self, stream: Stream) -> RecordBuilder:
        """Return what turns a provider's records into rows of a stream."""
        return RecordBuilder(stream, self.now, self.settings.source_origin)

    @property
    def history_days(self) -> int:
        """How far back the first run of a stream or symbol reaches, in days."""
        return self.days or self.settings.history_days


class Source(ABC):
    """Reads one provider. A module in ``sources/`` holds exactly one, and is found by its name."""

    name: ClassVar[str]
    streams: ClassVar[tuple[Stream, ...]]

    def __init__(self, context: Context) -> None:
        self.context = context

    def off(self) -> str | None:
        """Say why this source is switched off (no key, no address), or None when it is on."""
        return None

    @abstractmethod
    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Read what is new since the cursor.

        What fails for one symbol is a FAILED outcome and the others go on; what fails for all is raised.

        Args:
            stream: One of ``streams``.
            since: Cursor of the latest earlier package, None on the first run. A symbol missing in it is new and
                gets ``context.history_days`` of history; ``context.days`` holds for known ones too.

        Yields:
            Batches whose rows fit ``stream.schema``; each symbol asked for has one outcome in the end.

        Raises:
            SourceUnavailableError: No answer, 5xx, or a body that is cut off.
            SourceRejectedError: The request is refused or the answer is not what the provider documents.
            ConfigError: A key or address is missing or wrong.
        """
