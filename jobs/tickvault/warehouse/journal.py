"""What the ledger knows of builds: which inputs they saw, how they ended, what each node took."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tickvault.ledger import Ledger, Run
from tickvault.warehouse.dbt import NodeResult
from tickvault.warehouse.target import Target

_SOURCES = ("dbt_project.yml", "profiles.yml", "macros", "models", "tests", "sources", "emulator")


@dataclass(frozen=True, slots=True)
class Build:
    """One build of one target.

    Args:
        id: Unique; the run's id is not, since every request for a slot is the same run.
        run: The run that asked for it.
        inputs: What it was made from: the loads its target held when it started, and the project.
    """

    id: str
    run: Run
    inputs: str


class Journal:
    """The builds of one target.

    Args:
        ledger: Where they are noted.
        target: The target.
    """

    def __init__(self, ledger: Ledger, target: Target) -> None:
        self._ledger, self._target = ledger, target

    def inputs(self, project: Path, seeds: Path) -> str:
        """Return a fingerprint of what a build that starts now is made from.

        It counts and hashes the loads themselves. Their times would not do: a load that commits after a build has
        started may have begun, and be dated, before it. Target and time are hashed too: the same package loaded again,
        into a target that was switched or lost its data, is new to it.
        """
        loads = self._ledger.query(
            """SELECT count(*), coalesce(sum(hashtextextended(
                concat_ws(' ', package_id, target, extract(epoch FROM loaded_at)), 0)::numeric), 0)
            FROM data_platform.loads WHERE sink = %s""",
            self._target.sink,
        )[0]
        # What streams load has offsets instead of packages.
        offsets = self._ledger.query(
            "SELECT count(*), coalesce(sum(next_offset), 0) FROM data_platform.stream_offsets WHERE sink LIKE %s",
            f"{self._target.sink}%",
        )[0]
        return f"loads={loads[0]}:{loads[1]} offsets={offsets[0]}:{offsets[1]} project={digest(project, seeds)}"

    def hours_without_load(self) -> float:
        """Return how long ago the newest load was; 0 when there never was one."""
        sql = "SELECT extract(epoch FROM now() - max(loaded_at)) / 3600 FROM data_platform.loads WHERE sink = %s"
        return float(self._ledger.query(sql, self._target.sink)[0][0] or 0)

    def arriving(self) -> list[str]:
        """Return the jobs that are reading or loading what this target is built from.

        One that was killed may be called running for longer than it lives: after 15 minutes it counts no more.
        """
        rows = self._ledger.query(
            """SELECT DISTINCT job FROM data_platform.runs WHERE status = 'running'
            AND (job LIKE 'extract-%%' OR job LIKE %s) AND started_at > now() - interval '15 minutes' ORDER BY job""",
            f"load-{self._target.sink}%",
        )
        return [str(job) for (job,) in rows]

    def covering(self, inputs: str, selection: str) -> tuple[str, str] | None:
        """Return id and time of the green build that these inputs have had already, if the newest one was green."""
        rows = self._ledger.query(
            """SELECT build_id, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), status, inputs
            FROM data_platform.builds WHERE target = %s AND selection IN ('', %s)
            ORDER BY started_at DESC LIMIT 1""",
            self._target.name,
            selection,
        )
        # Only what the newest one left counts: the same inputs come back when the project is rolled back.
        return (rows[0][0], rows[0][1]) if rows and rows[0][2:] == ("green", inputs) else None

    def may_publish(self, selection: str) -> bool:
        """Whether what a build of this selection leaves aside has passed: all of it, or nothing failed since.

        A part is built from tables outside of it; after a failed build those may hold what did not pass.
        """
        if not selection:
            return True
        rows = self._ledger.query(
            """SELECT coalesce(bool_and(status = 'green') FILTER (WHERE started_at >= whole), false)
            FROM data_platform.builds
            CROSS JOIN (SELECT max(started_at) AS whole FROM data_platform.builds
                WHERE target = %s AND selection = '' AND status = 'green') newest
            WHERE target = %s AND status <> 'running'""",
            self._target.name,
            self._target.name,
        )
        return bool(rows[0][0])

    def start(self, build: Build, selection: str) -> None:
        """Note that a build begins. It holds the target's lock: one still said to be running was killed."""
        self._ledger.query(
            """UPDATE data_platform.builds SET status = 'red', finished_at = now()
            WHERE target = %s AND status = 'running' RETURNING build_id""",
            self._target.name,
        )
        self._ledger.query(
            """INSERT INTO data_platform.builds (build_id, run_id, target, slot, selection, inputs, status, started_at)
            VALUES (%s, %s, %s, %s, %s, %s, 'running', clock_timestamp()) RETURNING build_id""",
            *(build.id, build.run.run_id, self._target.name, build.run.slot.time, selection, build.inputs),
        )

    def finish(self, build: Build, *, green: bool) -> None:
        """Note how a build ended; green is built, tested and published."""
        self._ledger.query(
            """UPDATE data_platform.builds SET status = %s, finished_at = clock_timestamp() WHERE build_id = %s
            RETURNING build_id""",
            "green" if green else "red",
            build.id,
        )

    def note(self, build: Build, results: Iterable[NodeResult]) -> None:
        """Note what every node did, in one statement."""
        rows = list(results)
        self._ledger.query(
            """INSERT INTO data_platform.models (build_id, run_id, target, node, kind, status, seconds, rows, message)
            SELECT %s, %s, %s, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::float8[], %s::bigint[], %s::text[])
            ON CONFLICT DO NOTHING RETURNING node""",
            *(build.id, build.run.run_id, self._target.name),
            *([getattr(r, name) for r in rows] for name in ("name", "kind", "status", "seconds", "rows", "message")),
        )


def digest(project: Path, seeds: Path) -> str:
    """Return a fingerprint of everything in the project that decides what is built."""
    found = hashlib.sha256()
    for root in [*(project / name for name in _SOURCES), seeds]:
        for file in [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file()):
            found.update(f"\0{file.relative_to(root.parent)}\0".encode() + file.read_bytes())
    return found.hexdigest()[:16]
