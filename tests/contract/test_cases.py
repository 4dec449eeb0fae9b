"""Real-world inputs that once failed, from a provider's answer to both targets: both hold the right rows alike."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from stage import Answer, Stage, raised

from tickvault.core.settings import Settings
from tickvault.core.slot import Slot
from tickvault.engines.snowflake.session import Connection
from tickvault.engines.snowflake.tables import Names
from tickvault.local import postgres
from tickvault.local.engines import postgres_environment
from tickvault.local.simulator import start
from tickvault.runs.entry import run_job
from tickvault.transfer import catalog
from tickvault.transfer.extraction import Extraction
from tickvault.transfer.loading import Loading

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
SEEDS = Path(__file__).parents[2] / "seeds"
PAGE = b'<html><head><meta property="og:title" content="A page"></head><body></body></html>'
FEED, LIST, TICKER = "/news/feed", "/news/list?", "/binance/api/v3/ticker/24hr?"


@dataclass(frozen=True)
class Case:
    """An input: whose answer it is, how the run ends, and what both targets then hold of some columns."""

    file: str
    source: str
    stream: str
    columns: str
    rows: list[tuple[Any, ...]]
    code: int
    answers: str = ""
    symbols: tuple[str, ...] = ("BTC",)
    fields: dict[str, Any] = field(default_factory=dict)
    now: datetime = datetime(2026, 11, 20, 13, tzinfo=UTC)


def news(file: str, rows: list[tuple[Any, ...]], code: int = 0, columns: str = "url", **more: Any) -> Case:
    return Case(file, "crypto_news", "raw_news", columns, rows, code, answers=LIST, **more)


def feed(file: str, columns: str, rows: list[tuple[Any, ...]], code: int = 0, **more: Any) -> Case:
    return Case(file, "crypto_news", "raw_news", columns, rows, code, answers=FEED, **more)


def titles(*texts: str) -> list[tuple[str]]:
    return [(text,) for text in texts]


GOOD = [("{page}/1",), ("{page}/2",)]
UP = datetime(2026, 11, 25, 22, tzinfo=UTC)
PRICE = "symbol, quote_currency, price"
STOCK, CHART = "ticker, close_price, quote_currency", "/yahoo/v8/finance/chart/AAPL"
ALL = [
    news("01-redirect-latin1.http", [*GOOD, ("{page}/x",)]),
    news("02-host-label-64.json", GOOD),
    news("03-half-a-character-in-address.json", GOOD),
    news("04-address-of-4-kB.json", GOOD),
    feed("06-pubdate-zones.xml", "title, CAST(date AS VARCHAR(19))", [
        ("minus-zero", "2026-11-19 10:00:00"), ("colon", "2026-11-19 03:00:00"), ("none", None),
    ]),
    feed("08-less-than-in-title.xml", "title", titles(
        "BTC falls < $60k while ETH > $3k", "Fees < 1 gwei, TVL > 5bn", "x <3 bitcoin, y <4 and z >5",
        "How the <script> tag was abused", "Price < 5",
    )),
    feed("10-guid-only.xml", "url", titles(
        "https://news.example/g1", "https://news.example/g2", "https://news.example/g4",
    )),
    feed("10b-relative-links.xml", "url", titles("https://news.example/2026/11/x", "https://news.example/r5"), code=65),
    feed("29-formula-title.xml", "title", titles('=HYPERLINK("http://evil.example","x")')),
    Case("13-pair-in-break.json", "binance", "raw_cryptoprices_binance", PRICE, [("BTC", "USDT", Decimal(100))], 10,
         TICKER, ("BTC", "SOL")),
    Case("17-close-time-1e999999.json", "binance", "raw_cryptoprices_binance", PRICE,
         [("BTC", "USDT", Decimal(100))], 65, TICKER, ("BTC", "ETH")),
    Case("21-late-split-day-after.json", "yfinance_stock", "raw_stock_prices_yfinance", STOCK,
         [("AAPL", Decimal(25), "USD")], 0, CHART, ("AAPL",), now=UP.replace(day=27)),
    # Another ticker: yfinance remembers a ticker's time zone, here London's, for as long as the process lives.
    Case("23-pence.json", "yfinance_stock", "raw_stock_prices_yfinance", STOCK,
         [("DIS", Decimal("1100.5"), "GBp")], 0, CHART.replace("AAPL", "DIS"), ("DIS",), now=UP),
]  # fmt: skip


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with start(now=datetime(2026, 11, 20, 13, tzinfo=UTC)) as simulator, raised(simulator.url) as stage:
        yield stage


@pytest.fixture
def configured(
    postgres_uri: str, snowflake_settings: dict[str, str], make_settings: Callable[..., Settings], tmp_path: Path
) -> Callable[..., Settings]:
    name = f"case_{tmp_path.name.lower()}"[:60].replace("-", "_")
    postgres.create_database(postgres_uri, name)
    database = {k.lower(): v for k, v in postgres_environment(postgres_uri.replace("/postgres?", f"/{name}?")).items()}
    seeds = shutil.copytree(SEEDS, tmp_path / "seeds")

    def make(**fields: Any) -> Settings:
        own = {"lake_path": tmp_path / "lake", "seeds_path": seeds, "snowflake_database": name.upper()}
        return make_settings(**database | snowflake_settings | own | fields)

    return make


def spoiler(stage: Stage, case: Case) -> Callable[[Answer], Answer]:
    """Answer with the case where it is asked for, and any page with a page."""
    raw = (CASES / case.file).read_bytes()
    page = f"{stage.url}/page".encode()

    def spoil(answer: Answer) -> Answer:
        if answer.address.startswith("/page/"):
            if case.file.endswith(".http") and answer.address.endswith("/x"):
                return Answer(answer.address, 301, "text/html", b"", "/page/caf\xe9")
            return Answer(answer.address, 200, "text/html", PAGE)
        if not answer.address.startswith(case.answers):
            return answer
        if case.file.endswith(".http"):
            return replace(answer, status=200, body=b'["%s/1", "%s/x", "%s/2"]' % (page, page, page))
        kind = "text/xml" if case.file.endswith(".xml") else "application/json"
        return Answer(answer.address, 200, kind, raw.replace(b"https://good.example", page))

    return spoil


@pytest.mark.parametrize("case", ALL, ids=[case.file for case in ALL])
def test_a_case_comes_out_right_and_alike_in_both_targets(
    stage: Stage, configured: Callable[..., Settings], case: Case
) -> None:
    is_feed = case.answers == FEED
    settings = configured(
        binance_base_url=stage.base("binance"),
        yahoo_base_url=stage.base("yahoo"),
        news_base_url="" if is_feed else stage.base("news"),
        news_rss_urls=f"{stage.url}{FEED}?id={{id}}" if is_feed else "",
        tickvault_clock=case.now,
        history_days=10,
        http_time_budget=10,
        **case.fields,
    )
    with stage.spoiling(spoiler(stage, case)):
        code = run_job(Extraction(case.source, case.symbols), settings, Slot.of(case.now))
    assert code == case.code
    for sink in ("postgres", "snowflake"):
        assert run_job(Loading(sink), settings, Slot.of(case.now)) == 0
    held, also = in_postgres(settings, case), in_snowflake(settings, case)
    assert held == also
    for row in case.rows:
        wanted = tuple(v.format(page=f"{stage.url}/page") if isinstance(v, str) else v for v in row)
        assert wanted in held, held


def in_postgres(settings: Settings, case: Case) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.postgres_dsn(), options="-c timezone=UTC") as connection:
        found = connection.execute(f"SELECT {case.columns} FROM public.{case.stream}").fetchall()
    return sorted((tuple(map(plain, row)) for row in found), key=repr)


def in_snowflake(settings: Settings, case: Case) -> list[tuple[Any, ...]]:
    stream = next(s for s in catalog.source(case.source).streams if s.name == case.stream)
    with closing(Connection(settings)) as connection:
        found = connection.run(f"SELECT {case.columns} FROM {Names.of(settings).table(stream)}")
    return sorted((tuple(map(plain, row)) for row in found), key=repr)


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return value.normalize() if isinstance(value, Decimal) else value
