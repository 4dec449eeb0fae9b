"""Compaction on real Trino: small files and old snapshots go, rows and what is published stay."""

from collections.abc import Callable, Iterator

import pytest
from warehouse import Trino

from tickvault.core.settings import Settings
from tickvault.engines.trino import TrinoSession
from tickvault.warehouse import compaction
from tickvault.warehouse.compaction import FILES, compact, growth
from tickvault.warehouse.trino_publication import TrinoShelf

pytestmark = pytest.mark.engine("trino")
VAULT, MART = 'lake.compaction."sat_grown"', "lake.compaction.fct_grown"
PUBLISHED = "lake.compaction.published"


@pytest.fixture
def session(trino: Trino, make_settings: Callable[..., Settings]) -> Iterator[TrinoSession]:
    settings = make_settings(trino_host=trino.host, trino_port=trino.port)
    with TrinoSession(settings, TrinoShelf.session_properties(settings)) as opened:
        opened.run("CREATE SCHEMA IF NOT EXISTS lake.compaction")
        yield opened
        for relation in (VAULT, MART):
            opened.run(f"DROP TABLE IF EXISTS {relation}")
        opened.run(f"DROP VIEW IF EXISTS {PUBLISHED}")


def _grow(session: TrinoSession, relation: str, inserts: int) -> None:
    for n in range(inserts):
        session.run(f"INSERT INTO {relation} VALUES ({n}, 'row {n}')")


def test_what_is_due_is_compacted_and_nothing_is_lost(session: TrinoSession, monkeypatch: pytest.MonkeyPatch) -> None:
    for relation in (VAULT, MART):
        session.run(f"CREATE TABLE {relation} (n bigint, word varchar)")
    _grow(session, VAULT, FILES - 1)
    _grow(session, MART, FILES - 1)
    assert list(compact(session, [VAULT], [MART])) == [], "nothing is due"
    newest = session.run("SELECT snapshot_id FROM lake.compaction.\"fct_grown$refs\" WHERE name = 'main'")[0][0]
    session.run(f"CREATE VIEW {PUBLISHED} AS SELECT * FROM {MART} FOR VERSION AS OF {newest}")
    session.run(
        f"MERGE INTO {MART} held USING (VALUES (0, 'changed'), (99, 'new')) arrived (n, word) ON held.n = arrived.n"
        " WHEN MATCHED THEN UPDATE SET word = arrived.word"
        " WHEN NOT MATCHED THEN INSERT VALUES (arrived.n, arrived.word)"
    )
    _grow(session, VAULT, 1)
    rows = {relation: sorted(session.run(f"SELECT * FROM {relation}")) for relation in (VAULT, MART, PUBLISHED)}
    assert (0, "row 0") in rows[PUBLISHED]
    assert (0, "changed") in rows[MART]

    monkeypatch.setattr(compaction, "KEPT", "0s")
    said = list(compact(session, [VAULT], [MART]))

    assert [line.split(":")[0] for line in said] == [f"compacted {VAULT}", f"compacted {MART}"]
    grown = {g.relation: g for g in growth(session, [VAULT, MART])}
    assert grown[VAULT].small_files == 1
    assert grown[VAULT].snapshots == 1
    assert grown[MART].small_files < FILES
    assert grown[MART].snapshots > FILES - 1, "a mart's snapshots are publication's"
    assert {relation: sorted(session.run(f"SELECT * FROM {relation}")) for relation in rows} == rows
    assert list(compact(session, [VAULT], [MART])) == [], "what was done is not due again"
