"""A source is one module: found by its name, landed, loaded into both targets, with nothing registered by hand."""

from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

import tickvault.sources
from tickvault.core.errors import ConfigError
from tickvault.core.slot import Slot
from tickvault.core.stream import Stream
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


def test_an_instance_finds_its_streams_and_loads_without_its_module(
    make_settings, postgres_settings, snowflake_settings, tmp_path, monkeypatch
):
    folder = tmp_path / "instances" / "tides"
    folder.mkdir(parents=True)
    (folder / "elbe.toml").write_text('[gauges]\nhamburg = "cm"\n', encoding="utf-8")
    fields = postgres_settings | snowflake_settings
    settings = make_settings(**fields, lake_path=tmp_path / "lake", instances_path=tmp_path / "instances")
    with monkeypatch.context() as patched:
        patched.setattr(tickvault.sources, "__path__", [*tickvault.sources.__path__, str(TOY)])
        first, second = Slot.parse("20261119T130000Z"), Slot.parse("20261120T130000Z")
        job = Extraction("tides", instance="elbe")
        assert job.name == "extract-tides-elbe"
        assert run_job(job, settings, first) == 0
        (folder / "elbe.toml").write_text('[gauges]\nhamburg = "mm"\ncuxhaven = "cm"\n', encoding="utf-8")
        assert run_job(job, settings, second) == 0
        with pytest.raises(ConfigError, match=r"elba\.toml; instances of tides: elbe"):
            Extraction("tides", instance="elba").open(settings, first)
    for sink in ("postgres", "snowflake"):
        assert run_job(Loading(sink), settings, second) == 0
    with Ledger.open(settings) as ledger:
        rows = ledger._db.rows("SELECT level_cm, level_mm, package_id FROM raw_tides_hamburg ORDER BY observed_at")
        history = [(version, changes) for _, _, version, _, _, changes in ledger.schemas.history("hamburg", 9)]
        hamburg = Stream("raw_tides_hamburg", pa.schema([pa.field("k", pa.string())]), ("k",), None, "raw/tides")
        cursor = ledger.packages.resume_from("tides-elbe", hamburg, second)
    assert rows == [
        (19, None, "tides-elbe.raw_tides_hamburg.20261119T130000Z.r0"),
        (None, 20, "tides-elbe.raw_tides_hamburg.20261120T130000Z.r0"),
    ]
    assert history == [(2, "column level_mm added (int64); column level_cm dropped"), (1, "first seen")]
    assert cursor == {"": second.time.isoformat()}
    with closing(Connection(settings)) as connection:
        table = f"{settings.snowflake_database}.{settings.snowflake_schema}.RAW_TIDES_HAMBURG"
        assert connection.run(f"SELECT LEVEL_CM, LEVEL_MM FROM {table} ORDER BY OBSERVED_AT") == [
            (19, None),
            (None, 20),
        ]


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
