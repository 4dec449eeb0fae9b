"""Where rows come from: the contract (what a source is given, what it yields), and a module per provider."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Self

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

    ``missing`` names the symbols an earlier read of the slot left out, when only they are to be read. ``instance`` is
    which of several configurations of the source this is, and ``options`` what its file says.
    """

    settings: Settings
    http: HttpClient
    slot: Slot
    symbols: tuple[str, ...] | None = None
    days: int | None = None
    missing: tuple[str, ...] = ()
    instance: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The current time, UTC; simulated where ``TICKVAULT_CLOCK`` is set."""
        return self.settings.now()

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
    streams: ClassVar[tuple[Stream, ...]] = ()

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def identity(self) -> str:
        """What packages and cursors are named by: the source, and which instance of it."""
        return f"{self.name}-{self.context.instance}" if self.context.instance else self.name

    def asking_for(self, missing: tuple[str, ...]) -> Self:
        """Return the source anew, for what an earlier read of the slot left out, where there is any."""
        return type(self)(replace(self.context, missing=missing))

    def discover(self) -> Iterator[Stream]:
        """Yield the streams there are to read: those declared, or what a source finds when it runs.

        Raises:
            SourceUnavailableError: The source cannot be asked.
            ConfigError: The instance's options do not say what is to be read.
        """
        yield from self.streams

    def off(self) -> str | None:
        """Say why this source is switched off (no key, no address), or None when it is on."""
        return None

    @abstractmethod
    def read(self, stream: Stream, since: Cursor | None) -> Iterator[Batch]:
        """Read what is new since the cursor.

        What fails for one symbol is a FAILED outcome and the others go on; what fails for all is raised.

        Args:
            stream: One of those discovered.
            since: Cursor of the latest earlier package, None on the first run. A symbol missing in it is new and
                gets ``context.history_days`` of history; ``context.days`` holds for known ones too.

        Yields:
            Batches whose rows fit ``stream.schema``; each symbol asked for has one outcome in the end.

        Raises:
            SourceUnavailableError: No answer, 5xx, or a body that is cut off.
            SourceRejectedError: The request is refused or the answer is not what the provider documents.
            ConfigError: A key or address is missing or wrong.
        """
