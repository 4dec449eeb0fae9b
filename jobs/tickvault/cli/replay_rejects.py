"""``tickvault replay-rejects``: try records again that were put aside."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from tickvault import catalog
from tickvault.cli.options import dry_run_option, load_settings
from tickvault.lake import Lake
from tickvault.records import RecordBuilder
from tickvault.run import Session, run_job
from tickvault.slot import Slot
from tickvault.source import Batch
from tickvault.storage import open_storage

_OPEN = """
    SELECT package_id, source, stream, slot, array_agg(record ORDER BY ordinal) FROM data_platform.rejects
    WHERE replayed_by IS NULL AND (%s::text IS NULL OR package_id LIKE '%%' || %s || '%%')
    GROUP BY package_id, source, stream, slot ORDER BY slot, package_id"""


@dataclass(frozen=True, slots=True)
class Replay:
    """Lands the records that fit now as a further revision of their slot; the others stay put aside."""

    pattern: str | None
    dry_run: bool = False
    name: str = "replay-rejects"
    exclusive: bool = True

    def run(self, session: Session) -> None:
        """Replay package by package."""
        lake = Lake(open_storage(session.settings))
        for package_id, source, stream_name, time, records in session.ledger.query(_OPEN, self.pattern, self.pattern):
            stream, slot = catalog.stream(source, stream_name), Slot.of(time)
            now = session.settings.tickvault_clock or max(slot.time, session.slot.time)
            built = RecordBuilder(stream, now, session.settings.source_origin).build(records)
            fits = built.batch.num_rows
            click.echo(f"{package_id}: {fits} of {len(records)} record(s) fit now")
            session.report.add(rows_read=len(records), rows_rejected=len(built.rejects))
            if fits and not self.dry_run:
                batch = Batch(stream, built.batch, None, (), built.rejects)
                revision = len(lake.revisions(stream, slot))
                package = lake.land(source, stream, [batch], slot, session.run.run_id, revision, (package_id,))
                session.ledger.register(stream, package, lake.rejects(package))
                session.report.details.setdefault("packages", []).append(package.id)


@click.command()
@click.argument("pattern", required=False)
@dry_run_option
def command(pattern: str | None, dry_run: bool) -> None:
    """Try open rejects again, after the rule or the list that refused them was put right.

    PATTERN keeps packages whose id contains it. What fits now lands as a further revision and loads as usual; what
    still does not fit moves to that revision's rejects.
    """
    settings = load_settings()
    sys.exit(run_job(Replay(pattern, dry_run), settings, Slot.of(settings.tickvault_clock or datetime.now(UTC))))
