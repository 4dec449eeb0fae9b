"""Settings say what is wrong with them, and no secret reaches the log."""

import json
import logging
from pathlib import Path

import pytest

from tickvault.cli.settings import env_example, markdown
from tickvault.core import log
from tickvault.core.errors import ConfigError
from tickvault.core.settings import Settings
from tickvault.core.settings.part import Part

ROOT = Path(__file__).parents[2]


def test_secrets_are_blotted_out_in_messages_fields_and_tracebacks(capsys):
    settings = Settings.load(minio_secret_key='s3cr"et', postgres_password="hunter2", tickvault_log_format="json")
    log.configure(settings, job="x")
    try:
        int("password=hunter2")
    except ValueError:
        logging.getLogger("t").exception('key is s3cr"et', extra={"dsn": "postgres://u:hunter2@h"})
    line = capsys.readouterr().err
    fields = json.loads(line)
    assert "hunter2" not in line
    assert "cr" + '\\"' + "et" not in line
    assert fields["job"] == "x"
    assert "ValueError" in fields["error"]


def test_every_wrong_setting_is_named():
    with pytest.raises(ConfigError, match=r"POSTGRES_PORT.*HISTORY_DAYS"):
        Settings.load(postgres_port="x", history_days=0)
    with pytest.raises(ConfigError, match="time zone"):
        Settings.load(tickvault_clock="2026-11-20T13:00:00")


def test_secrets_are_not_shown_by_repr():
    assert "hunter2" not in repr(Settings.load(postgres_password="hunter2"))


def test_dsn_quotes_what_libpq_needs_quoted():
    dsn = Settings.load(postgres_password="it's a \\").postgres_dsn()
    assert "password='it\\'s a \\\\'" in dsn


def test_the_page_and_the_example_agree_with_the_code():
    assert (ROOT / ".env.example").read_text() == env_example(), "run: tickvault settings --format env > .env.example"
    assert (ROOT / "docs/settings.md").read_text() == markdown(), (
        "run: tickvault settings --format markdown > docs/settings.md"
    )


def test_parts_hold_every_field_once_and_no_decorator_that_pydantic_would_not_see():
    names = [name for part in Settings.parts().values() for name in part]
    assert names == list(Settings.model_fields)
    assert len(set(Settings.parts())) == len(Settings.parts()) > 1
    for part in (base for base in Settings.__bases__ if issubclass(base, Part)):
        assert not [n for n, value in vars(part).items() if hasattr(value, "decorator_info")], part


def test_a_file_of_settings_is_read_and_the_environment_wins(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("POSTGRES_DB=from_file\nPOSTGRES_USER=from_file\nPOSTGRES_HOST=\nUNKNOWN=x\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTGRES_USER", "from_environment")
    monkeypatch.setenv("history_days", "7")
    monkeypatch.setenv("POSTGRES_PORT", "")
    settings = Settings.load(lock_wait_seconds=1)
    assert (settings.postgres_db, settings.postgres_user) == ("from_file", "from_environment")
    assert (settings.postgres_host, settings.postgres_port, settings.history_days) == ("localhost", 5432, 7)
    assert settings.model_fields_set >= {"postgres_db", "postgres_user", "history_days", "lock_wait_seconds"}
    assert not settings.model_fields_set & {"postgres_host", "postgres_port"}
