"""A source is one module: found by its name, landed, loaded into both targets, with nothing registered by hand."""

from pathlib import Path

import pytest

import tickvault.sources
from tickvault.core.errors import ConfigError
from tickvault.core.slot import Slot
from tickvault.engines.snowflake.session import Connection
from tickvault.ledger import Ledger
from tickvault.runs.entry import run_job
from tickvault.transfer import catalog
from tickvault.transfer.extraction import Extraction
from tickvault.transfer.loading import Loading

TOY = Path(__file__).parents[1] / "fixtures" / "toy"


def test_one_module_is_a_source(make_settings, postgres_settings, snowflake_settings, tmp_path, monkeypatch):
    monkeypatch.setattr(tickvault.sources, "__path__", [*tickvault.sources.__path__, str(TOY)])
    settings = make_settings(**postgres_settings, **snowflake_settings, lake_path=tmp_path / "lake")
    assert "moon_phase" in catalog.source_names()
    for slot in ("20261119T130000Z", "20261120T130000Z", "20261120T130000Z"):
        assert run_job(Extraction("moon_phase"), settings, Slot.parse(slot)) == 0
    for sink in ("postgres", "snowflake"):
        assert run_job(Loading(sink), settings, Slot.parse("20261120T130000Z")) == 0
    columns = "body, illumination, observed_at, package_id"
    with Ledger.open(settings) as ledger:
        rows = ledger._db.rows(f"SELECT {columns} FROM raw_moon_phases ORDER BY observed_at")
    connection = Connection(settings)
    schema = f"{settings.snowflake_database}.{settings.snowflake_schema_staging}"
    copies = connection.run(f"SELECT {columns} FROM {schema}.RAW_MOON_PHASES ORDER BY observed_at")
    connection.close()
    assert len(rows) == 2
    assert [r[:2] for r in rows] == [c[:2] for c in copies]
    assert rows[0][3] == "moon_phase.raw_moon_phases.20261119T130000Z.r0"


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'binance'"):
        catalog.source("binanse")
    with pytest.raises(ConfigError, match="there are: postgres, snowflake"):
        catalog.sink("oracle")


def test_every_module_is_a_source_or_sink_of_its_name():
    for name in catalog.source_names():
        kind = catalog.source(name)
        assert kind.streams
        for stream in kind.streams:
            assert catalog.stream(name, stream.name) == stream
    assert catalog.sink_names() == ["postgres", "snowflake"]
