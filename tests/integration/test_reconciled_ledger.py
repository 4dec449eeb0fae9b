"""Ledger rows of Jobs that ended without a word: interrupted, with the log their pod left."""

import json
from datetime import UTC, datetime

import pytest

from tickvault.core.errors import ConfigError
from tickvault.core.slot import Slot
from tickvault.engines.storage import open_storage
from tickvault.ledger import Ledger
from tickvault.operations.reconciliation import reconcile_ledger
from tickvault.runners.inventory import Remains

SLOT = Slot.of(datetime(2026, 11, 20, 13, tzinfo=UTC))
FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "no more attempts"}
OURS = '{"time": "2026-11-20T13:05:01.000+00:00", "level": "info", "message": "reading AAPL"}'
LOG = [
    f"2026-11-20T13:05:01.123456789Z {OURS}",
    "2026-11-20T13:05:02.5Z Killed, password s3cret-key",
    "no log here",
    "",
]


class Inventory:
    """A cluster whose Jobs are told; ``meanwhile`` happens after they were listed."""

    def __init__(self, jobs=(), remains=None, meanwhile=lambda: None):
        self.found, self.left, self.meanwhile = jobs, remains, meanwhile

    def jobs(self):
        self.meanwhile()
        return [{"metadata": {"name": name}, "status": {"conditions": conditions}} for name, conditions in self.found]

    def remains(self, _job):
        if isinstance(self.left, Exception):
            raise self.left
        return self.left


@pytest.fixture
def settings(make_settings, postgres_settings, tmp_path):
    return make_settings(lake_path=tmp_path / "lake", minio_secret_key="s3cret-key", **postgres_settings)


@pytest.fixture
def ledger(settings):
    with Ledger.open(settings) as opened:
        opened._db.rows("DELETE FROM data_platform.runs RETURNING run_id")
        yield opened


def _start(ledger: Ledger, job: str) -> str:
    """Begin a run a minute ago."""
    run = ledger.runs.start(job, SLOT, f"{job}-1")
    past = "UPDATE data_platform.runs SET started_at = now() - interval '1 minute' WHERE run_id = %s RETURNING 1"
    ledger._db.rows(past, run.run_id)
    return run.run_id


def _row(ledger: Ledger, run_id: str):
    sql = "SELECT status, outcome -> 'error' ->> 'message', log_uri FROM data_platform.runs WHERE run_id = %s"
    return ledger._db.rows(sql, run_id)[0]


def test_the_log_of_a_killed_job_is_kept(settings, ledger):
    run_id = _start(ledger, "extract-a")
    inventory = Inventory([("extract-a-1", [FAILED])], Remains("killed for using more memory (OOMKilled)", LOG))

    assert len(reconcile_ledger(ledger, inventory, settings, dry_run=True)) == 1
    assert _row(ledger, run_id) == ("running", None, None)

    (correction,) = reconcile_ledger(ledger, inventory, settings, dry_run=False)
    assert correction.why == "job/extract-a-1: BackoffLimitExceeded no more attempts"
    uri = f"logs/extract-a/{SLOT.id}/{run_id}-1.jsonl"
    assert _row(ledger, run_id) == ("interrupted", correction.why, uri)
    own, other, node, end = (open_storage(settings).get(uri) or b"").decode().splitlines()
    assert own == OURS
    assert json.loads(other)["message"] == "Killed, password ***"
    assert json.loads(other)["time"] == "2026-11-20T13:05:02.500+00:00"
    assert json.loads(node)["message"] == "no log here"
    assert (json.loads(end)["level"], json.loads(end)["message"].endswith("(OOMKilled)")) == ("error", True)
    assert reconcile_ledger(ledger, inventory, settings, dry_run=False) == []


@pytest.mark.parametrize("remains", [None, ConfigError("Kubernetes does not let us read the log")])
def test_a_job_that_is_gone_is_interrupted_without_a_log(settings, ledger, remains):
    run_id = _start(ledger, "extract-b")
    assert len(reconcile_ledger(ledger, Inventory(remains=remains), settings, dry_run=False)) == 1
    assert _row(ledger, run_id) == ("interrupted", "job/extract-b-1: Deleted the Job is gone", None)


def test_what_lives_or_has_only_just_begun_is_left_alone(settings, ledger):
    _start(ledger, "extract-c")
    assert reconcile_ledger(ledger, Inventory([("extract-c-1", [])]), settings, dry_run=False) == []
    # Its Job was made after the listing, so it is not in it.
    begins = Inventory([("extract-c-1", [])], meanwhile=lambda: ledger.runs.start("extract-d", SLOT, "extract-d-1"))
    assert reconcile_ledger(ledger, begins, settings, dry_run=False) == []
    # The same run, begun anew by another Job.
    again = Inventory(meanwhile=lambda: ledger.runs.start("extract-c", SLOT, "extract-c-2"))
    assert reconcile_ledger(ledger, again, settings, dry_run=False) == []
