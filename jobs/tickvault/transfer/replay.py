"""The job that tries records again that were put aside."""

from dataclasses import dataclass

import click
import pyarrow as pa

from tickvault.core.batch import Batch
from tickvault.core.package import Outcome, OutcomeStatus, Package, Purpose, Reject
from tickvault.core.records import CONFLICT, RecordBuilder
from tickvault.core.revisions import failed
from tickvault.core.stream import Stream
from tickvault.engines.storage import open_storage
from tickvault.lake import Lake
from tickvault.lake.admission import admitted
from tickvault.runs.session import Session
from tickvault.transfer import catalog
from tickvault.transfer.extraction import Extraction


@dataclass(frozen=True, slots=True)
class Replay:
    """Lands the records that fit now as a further revision of their slot; the others stay put aside.

    Among them those whose key another record took with other values: alone they would fit, and overwrite it.
    """

    pattern: str | None
    dry_run: bool = False
    name: str = "replay-rejects"
    exclusive: bool = True

    def run(self, session: Session) -> None:
        """Replay package by package, each while no extract of its source lands a revision too."""
        lake = Lake(open_storage(session.settings))
        for left in session.ledger.rejects.open(self.pattern):
            package_id, source, slot, rejects = left.package_id, left.source, left.slot, left.rejects
            stream = catalog.stream(source, left.stream)
            now = session.settings.tickvault_clock or max(slot.time, session.slot.time)
            builder = RecordBuilder(stream, now, session.settings.source_origin)
            built = builder.build(r.record for r in rejects if r.column != CONFLICT)
            contested = tuple(r for r in rejects if r.column == CONFLICT)
            rows, refused = admitted(stream, built.batch)
            unfit, fits = (*built.rejects, *refused), rows.num_rows
            why = f"; {len(contested)} share a key with another record, nobody can tell which is right"
            click.echo(f"{package_id}: {fits} of {len(rejects)} record(s) fit now{why if contested else ''}")
            session.report.add(rows_read=len(rejects), rows_rejected=len(unfit) + len(contested))
            if not fits or self.dry_run:
                continue
            with session.ledger.lock(Extraction(source).name, session.settings.lock_wait_seconds):
                known = session.ledger.packages.manifests(slot.date.isoformat())
                sealed = lake.slot(stream, slot, known)
                aside = (*unfit, *contested)
                batch = Batch(stream, rows, None, _settled(stream, sealed.packages, rows, aside), aside)
                run_id = session.run.run_id
                purpose = Purpose(replays=(package_id,))
                package = lake.land(source, stream, [batch], slot, run_id, sealed.next_revision, purpose)
                session.ledger.packages.register(stream, package, lake.rejects(package))
            session.report.details.setdefault("packages", []).append(package.id)


def _settled(
    stream: Stream, sealed: list[Package], fits: pa.RecordBatch, aside: tuple[Reject, ...]
) -> tuple[Outcome, ...]:
    """Say which of the slot's missing items came now; each is named by its key's first column, an article by all."""
    still = {r.item for r in aside}
    columns = [fits.column(name).to_pylist() for name in stream.primary_key]
    keys = [tuple(map(str, key)) for key in zip(*columns, strict=True)]
    came = {key[0] for key in keys} - still | {" ".join(key) for key in keys}
    return tuple(Outcome(o.item, OutcomeStatus.OK, "replayed") for o in failed(sealed) if o.item in came)
