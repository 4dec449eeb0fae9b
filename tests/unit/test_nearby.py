"""Whoever asks without settings gets the demo's engines where they run, else a command to paste."""

import shlex
from contextlib import contextmanager

import pytest

from tickvault.core.errors import ConfigError, SinkUnavailableError
from tickvault.core.settings import Settings
from tickvault.local import nearby
from tickvault.local.engines import Local


@pytest.fixture
def nothing_set(monkeypatch, tmp_path):
    for name in ("POSTGRES_HOST", "SNOWFLAKE_ACCOUNT", "TRINO_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Settings.load(tickvault_home=tmp_path / "home")


def refused(settings, error, *arguments):
    with pytest.raises(type(error)) as caught, nearby.within_reach(settings, arguments):
        raise error
    return str(caught.value)


def test_what_is_set_is_taken_and_its_errors_are_its_own(nothing_set):
    settings = nothing_set.model_copy(update={"postgres_host": "db"})
    assert nearby.names_an_engine(settings)
    with nearby.within_reach(settings, ["query"]) as given:
        assert given is settings
    assert refused(settings, SinkUnavailableError("away"), "query") == "away"


def test_without_settings_the_error_says_what_local_is_and_what_to_paste(nothing_set):
    said = refused(nothing_set, SinkUnavailableError("PostgreSQL does not answer"), "query", "select 'it''s'")
    assert said.startswith("PostgreSQL does not answer\nNo engine is named: POSTGRES_HOST is not set")
    assert "made once by" in said
    assert shlex.split(said.splitlines()[-1])[-3:] == ["local", "query", "select 'it''s'"]
    (nothing_set.tickvault_home / "demo").mkdir(parents=True)
    assert "made once" not in refused(nothing_set, ConfigError("x"), "status")


def test_running_engines_are_used_as_long_as_they_are_asked(nothing_set, monkeypatch):
    (nothing_set.tickvault_home / "demo").mkdir(parents=True)
    used = []

    @contextmanager
    def use(home, who, *, idle_minutes):
        used.append((home.folder.name, who, idle_minutes))
        yield Local({"POSTGRES_HOST": "/demo/socket"}, None)
        used.append("left")

    monkeypatch.setattr(nearby, "are_running", lambda _home: True)
    monkeypatch.setattr(nearby, "use", use)
    monkeypatch.setenv("POSTGRES_HOST", "")  # so that it is undone
    with nearby.within_reach(nothing_set, ["latest", "BTC"]) as settings:
        assert settings.postgres_host == "/demo/socket"
    assert used == [("demo", "tickvault latest", nothing_set.tickvault_local_idle_minutes), "left"]
