"""One bad record stops nothing: each source reads mutated genuine answers without a traceback and without a wrong row.

``SOAK_EXAMPLES`` says how many mutations a stream is fed (`make soak`: 20,000); a test run feeds it 120 a source.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from mutations import Mutation, mutations
from stage import Answer, Stage, raised

from tickvault.core.batch import Batch
from tickvault.core.errors import PlatformError
from tickvault.core.package import OutcomeStatus
from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.http.client import HttpClient
from tickvault.local.simulator import start
from tickvault.sources import Context
from tickvault.transfer import catalog

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)
DAYS = 10
ASKED = {"yfinance_stock": ("AAPL", "KO"), "crypto_news": ("BTC", "ETH")}
PAIRS = [
    (name, s.name) for name in catalog.source_names() for s in catalog.source(name).streams if name != "faker_market"
]
STREAMS_OF = Counter(name for name, _ in PAIRS)
LONGEST_KEY = 2500  # bytes; a PostgreSQL index row holds 2,704
POSITIVE = ("price", "open", "high", "low", "close", "open_price", "high_price", "low_price", "close_price")
Rows = dict[str, list[dict[str, Any]]]


class Time:
    """A clock that only sleeping moves."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with start(now=NOW) as simulator, raised(simulator.url) as stage:
        yield stage


def read(stage: Stage, pair: tuple[str, str], since: dict[str, Any] | None = None) -> list[Batch]:
    """Read a stream from the stage."""
    configured = Settings.load(
        _env_file=None,
        binance_base_url=stage.base("binance"),
        coingecko_base_url=stage.base("coingecko"),
        yahoo_base_url=stage.base("yahoo"),
        freecrypto_api=stage.base("freecryptoapi"),
        freecrypto_api_key="any-key-of-ours",
        news_base_url=stage.base("news"),
        news_rss_urls=stage.base("news") + "/rss?id={id}",
        tickvault_clock=NOW,
        history_days=DAYS,
        http_time_budget=60,
    )
    kind, time = catalog.source(pair[0]), Time()
    stream = next(s for s in kind.streams if s.name == pair[1])
    with HttpClient(configured, sleep=time.sleep, clock=time.clock) as http:
        context = Context(configured, http, Slot.of(NOW), asked(pair), None)
        return list(kind(context).read(stream, since))


def asked(pair: tuple[str, str]) -> tuple[str, ...]:
    return ASKED.get(pair[0], ("BTC", "ETH", "SOL"))


def rows_of(batches: list[Batch]) -> Rows:
    rows: Rows = {}
    for batch in batches:
        for row in batch.records.to_pylist():
            rows.setdefault(row[batch.stream.primary_key[0]], []).append(row)
    return rows


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{a}-{b.removeprefix('raw_')}" for a, b in PAIRS])
def test_a_mutated_answer_ends_in_typed_errors_and_right_rows(stage: Stage, pair: tuple[str, str]) -> None:
    whole = rows_of(read(stage, pair))
    assert set(whole) == set(asked(pair))
    answers = tuple(a for a in stage.recorded.values() if a.status == 200 and _concerns(pair, a))
    assert answers
    examples = int(os.environ.get("SOAK_EXAMPLES", "120")) // STREAMS_OF[pair[0]]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        mutation = data.draw(mutations(answers))
        note(f"{mutation.address}: {mutation.what}")
        with stage.spoiling(mutation):
            try:
                batches = read(stage, pair)
            except PlatformError as error:
                str(error).encode()
                assert _touched(mutation, answers) is None, f"one record stopped all: {error}"
                return
        _sound(pair, batches)
        touched = _touched(mutation, answers)
        if touched is not None:
            came = rows_of(batches)
            for symbol in set(asked(pair)) - touched:
                assert came.get(symbol) == whole[symbol], f"{symbol} did not come as it is"

    holds()


def _concerns(pair: tuple[str, str], answer: Answer) -> bool:
    """Tell the answers that this source reads: those of its provider."""
    provider = answer.address.split("/")[1]
    return {"crypto_news": "news"}.get(pair[0], "yahoo" if pair[0].startswith("yfinance") else pair[0]) == provider


def _touched(mutation: Mutation, answers: tuple[Answer, ...]) -> set[str] | None:
    """Give the symbols whose record a mutation changed, None where it may be all."""
    if not mutation.path:
        return None
    parts = urlsplit(mutation.address)
    if parts.path.endswith(("/ticker/24hr", "/coins/markets")) and len(mutation.path) > 1:
        original = next(a for a in answers if a.address == mutation.address)
        record = json.loads(original.body)[mutation.path[0]]
        names = {"bitcoin": "BTC", "ethereum": "ETH", "solana": "SOL"}
        # What names the record itself may come to name another one.
        return {names.get(record.get("id"), str(record["symbol"]).upper().removesuffix("USDT"))}
    if parts.path.endswith("/klines"):
        return {parse_qs(parts.query)["symbol"][0].removesuffix("USDT")}
    last = parts.path.rpartition("/")[2].removesuffix("-USD")
    return {last} if "/finance/chart/" in parts.path or "/quoteSummary/" in parts.path else None


def _sound(pair: tuple[str, str], batches: list[Batch]) -> None:
    """Hold what came to what no row may be, and to one outcome a symbol."""
    for batch in batches:
        batch.records.validate(full=True)
        assert batch.records.schema == batch.stream.schema
        for row in batch.records.to_pylist():
            _sound_row(pair, batch.stream.primary_key, row)
        json.dumps([batch.cursor, [(o.item, o.detail) for o in batch.outcomes]], ensure_ascii=False).encode()
        json.dumps([[r.item, r.column, r.reason, r.record] for r in batch.rejects], ensure_ascii=False).encode()
        assert "\\u0000" not in json.dumps([r.record for r in batch.rejects] + [o.item for o in batch.outcomes])
    outcomes = Counter(o.item for b in batches for o in b.outcomes)
    assert set(asked(pair)) <= set(outcomes), "a symbol without outcome"
    assert set(outcomes.values()) == {1}, "two outcomes of one item"
    ok = {o.item for b in batches for o in b.outcomes if o.status is OutcomeStatus.OK}
    if pair[0] != "crypto_news":
        assert set(rows_of(batches)) <= ok, "rows of a symbol that is said to have failed"


def _sound_row(pair: tuple[str, str], key: tuple[str, ...], row: dict[str, Any]) -> None:
    assert row[key[0]] in asked(pair)
    assert len("".join(str(row[name]) for name in key).encode()) < LONGEST_KEY
    assert datetime(2009, 1, 1, tzinfo=UTC) < row["observed_at"] <= NOW + timedelta(hours=1)
    for name in POSITIVE:
        value: Decimal | None = row.get(name)
        assert value is None or value > 0, f"{name} is {value}"
    if "url" in row:
        assert urlsplit(row["url"]).scheme in {"http", "https"}
        assert urlsplit(row["url"]).hostname
