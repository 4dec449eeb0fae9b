"""No configured secret is said, kept or stored, however it is written."""

import base64
import html
import json
import logging
import pickle
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickvault.core import log, redaction
from tickvault.core.errors import ConfigError, GateFailedError, PlatformError, RateLimitError, SchemaMismatchError
from tickvault.core.package import Outcome, OutcomeStatus, Reject
from tickvault.core.records import RecordBuilder
from tickvault.core.settings import Settings
from tickvault.engines.http.answer import RefusedRequestError
from tickvault.market.streams import CRYPTO_BINANCE
from tickvault.runs.session import Report

KEY = "CG-a/b+c d\"e'é<&>9"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def settings(make_settings):
    return make_settings(coingecko_api_key=KEY, snowflake_private_key=PEM, postgres_password="hunter2")


WRITTEN = {
    "plain": KEY,
    "in a query": f"?x_cg={quote(KEY, safe='')}&y=1",
    "in a path": f"/{quote(KEY)}/x",
    "in a form": quote_plus(KEY),
    "lower hex": quote(KEY, safe="").replace("%2F", "%2f").replace("%C3%A9", "%c3%a9").replace("%2B", "%2b")
    .replace("%3C", "%3c").replace("%3E", "%3e"),
    "json": json.dumps({"key": KEY}),
    "json, unicode": json.dumps({"key": KEY}, ensure_ascii=False),
    "html": html.escape(KEY),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "urlsafe base64": base64.urlsafe_b64encode(KEY.encode()).decode(),
    "basic": base64.b64encode(b"user:" + KEY.encode()).decode(),
    "basic, other alignment": base64.b64encode(b"users:" + KEY.encode() + b":x").decode(),
    "hex": KEY.encode().hex(),
}  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_is_found_however_it_is_written(settings, text):
    assert text not in redaction.text(f"before {text} after")
    assert redaction.BLOT in redaction.text(text)
    assert redaction.text(f"before {text}").startswith("before ")
    assert "CG-a" not in redaction.text(text)


SECRETS = st.text(min_size=6).filter(lambda s: s.strip() == s and s.lower() not in redaction.OURS)


def test_a_word_of_the_platforms_own_is_no_secret():
    redaction.forget()
    redaction.know(["tickvault", "Simulated"], sent=True)
    assert redaction.text("tickvault load postgres") == "tickvault load postgres"
    assert redaction.echo("binance-simulated") == "binance-simulated"
    redaction.forget()


@given(SECRETS, st.binary(max_size=7), st.binary(max_size=7))
def test_base64_holds_no_more_than_the_characters_it_shares_with_its_neighbours(secret, before, after):
    redaction.forget()
    redaction.know([secret])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(before + secret.encode() + after).decode()
        assert redaction.BLOT in redaction.text(whole)
    assert secret not in redaction.text(f"x{secret}y").replace(redaction.BLOT, "\0")
    redaction.forget()


def test_lines_of_a_key_and_passwords_in_addresses_are_secrets(make_settings, settings):
    assert redaction.text("got MIIEvQIBADANBgkqhkiG9w0BAQEFAASC") == "got ***"
    assert redaction.text("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"
    hook = "https://hooks.example/services/T0000/B0000/abcdefghijklmnopqrst"
    make_settings(news_base_url="https://me:pass-in-url@news.example", alert_webhook_url=hook)
    assert redaction.text("https://me:pass-in-url@news.example/x") == "https://me:***@news.example/x"
    assert redaction.text(f"POST {hook}: 404; /services/T0000/B0000/abcdefghijklmnopqrst") == "POST ***: 404; /***"


def test_a_short_secret_is_not_looked_for(make_settings):
    make_settings(postgres_password="table")
    assert redaction.text("no such table") == "no such table"


def test_data_is_blotted_out_at_any_depth_and_stays_what_it_is(settings):
    value = {"a": [1, None, True, {f"x{KEY}": (KEY, 2.5)}], "n": 10**30}
    assert redaction.data(value) == {"a": [1, None, True, {"x***": ("***", 2.5)}], "n": 10**30}


@pytest.mark.parametrize(
    "make",
    [
        PlatformError,
        ConfigError,
        RateLimitError,
        lambda text: GateFailedError([text]),
        lambda text: SchemaMismatchError("s", "c", "e", text),
        lambda text: RefusedRequestError(text, 400, text),
    ],
)
def test_no_error_holds_a_secret(settings, make):
    error = make(f"the provider says {KEY}")
    assert "CG-a" not in f"{error} {error!r} {vars(error)} {error.args}"
    assert "***" in str(error)


def test_outcomes_and_rejects_hold_neither_a_secret_nor_what_no_ledger_stores(settings):
    outcome = Outcome(f"BTC{KEY}", OutcomeStatus.FAILED, f"\0\ud800 key {KEY} unknown")
    assert (outcome.item, outcome.detail) == ("BTC***", "␀\\ud800 key *** unknown")
    reject = Reject(KEY, "price", f"price is '{KEY}'", {"price": KEY, f"\0{KEY}": [KEY, "\ud800"]})
    assert (reject.item, reject.reason) == ("***", "price is '***'")
    assert reject.record == {"price": "***", "␀***": ["***", "\\ud800"]}
    assert pickle.loads(pickle.dumps(reject)) == reject


def test_a_key_that_a_provider_repeats_gets_into_no_row_and_no_reject(settings):
    now = datetime(2026, 11, 20, tzinfo=UTC)
    good = {
        "symbol": "BTC", "base_currency": "BTC", "quote_currency": f"U{KEY}", "price": "1", "source": "binance",
        "observed_at": now,
    }  # fmt: skip
    words = good | {"symbol": "hunter2", "quote_currency": "USDT"}  # a word, as far as a provider can know
    records = RecordBuilder(CRYPTO_BINANCE, now).build([good, words, good | {"price": KEY}])
    assert records.batch.column("quote_currency").to_pylist() == ["U***", "USDT"]
    assert records.batch.column("symbol").to_pylist() == ["BTC", "hunter2"]
    assert "CG-a" not in str(records.rejects)


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_log_line_holds_a_secret(make_settings, capsys, form):
    settings = make_settings(coingecko_api_key=KEY, tickvault_log_format=form)
    log.configure(settings, job="x")
    try:
        int(KEY)
    except ValueError:
        logging.getLogger("t").exception("key %s", KEY, extra={"url": f"https://x/?k={quote(KEY, safe='')}"})
    line = capsys.readouterr().err
    assert "CG-a" not in line
    assert line.count("***") >= 3


def test_settings_that_are_shown_hold_no_secret(settings):
    assert "CG-a" not in repr(settings)
    assert "CG-a" not in str(Settings.load(_env_file=None, coingecko_api_key=KEY))


def test_a_report_of_a_run_is_data(settings):
    report = Report()
    report.missing.append(f"BTC: {KEY}")
    assert redaction.data(report.missing) == ["BTC: ***"]
