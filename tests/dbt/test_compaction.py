"""Compaction on real Trino: small files and old snapshots go, rows stay."""

from collections.abc import Callable, Iterator

import pytest
from warehouse import Trino

from tickvault.core.settings import Settings
from tickvault.engines.trino import TrinoSession
from tickvault.warehouse import compaction
from tickvault.warehouse.compaction import FILES, compact, growth
from tickvault.warehouse.trino_publication import TrinoShelf

pytestmark = pytest.mark.engine("trino")
VAULT = 'lake.compaction."sat_grown"'


@pytest.fixture
def session(trino: Trino, make_settings: Callable[..., Settings]) -> Iterator[TrinoSession]:
    settings = make_settings(trino_host=trino.host, trino_port=trino.port)
    with TrinoSession(settings, TrinoShelf.session_properties(settings)) as opened:
        opened.run("CREATE SCHEMA IF NOT EXISTS lake.compaction")
        yield opened
        opened.run(f"DROP TABLE IF EXISTS {VAULT}")


def _grow(session: TrinoSession, relation: str, inserts: int) -> None:
    for n in range(inserts):
        session.run(f"INSERT INTO {relation} VALUES ({n}, 'row {n}')")


def test_what_is_due_is_compacted_and_nothing_is_lost(session: TrinoSession, monkeypatch: pytest.MonkeyPatch) -> None:
    session.run(f"CREATE TABLE {VAULT} (n bigint, word varchar)")
    _grow(session, VAULT, FILES - 1)
    assert list(compact(session, [VAULT])) == [], "nothing is due"
    session.run(f"INSERT INTO {VAULT} VALUES (99, 'the last one')")
    rows = sorted(session.run(f"SELECT * FROM {VAULT}"))
    assert len(rows) == FILES

    monkeypatch.setattr(compaction, "KEPT", "0s")
    assert [line.split(":")[0] for line in compact(session, [VAULT])] == [f"compacted {VAULT}"]

    (grown,) = growth(session, [VAULT])
    assert (grown.small_files, grown.snapshots) == (1, 1)
    assert sorted(session.run(f"SELECT * FROM {VAULT}")) == rows
    assert list(compact(session, [VAULT])) == [], "what was done is not due again"
