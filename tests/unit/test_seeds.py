"""The symbol lists and asset_info.csv are held to each other; what is wrong is named with file and line."""

import csv
import shutil
from io import StringIO

import pytest

from tickvault.core.errors import ConfigError
from tickvault.market.pairs import Pair, read_pair
from tickvault.market.symbols import ASSET_INFO, check, default_folder, load_assets, load_list, normalise

SEEDS = default_folder()


@pytest.fixture
def seeds(tmp_path):
    for name in ("cryptolist.txt", "stocklist.txt", ASSET_INFO):
        shutil.copy(SEEDS / name, tmp_path / name)
    return tmp_path


def append(path, line):
    path.write_text(path.read_text() + line + "\n")


def test_shipped_seeds_pass_and_are_complete():
    assets = load_assets(SEEDS / ASSET_INFO).assets
    assert check(SEEDS) == []
    assert [len(load_list(SEEDS / name)) for name in ("cryptolist.txt", "stocklist.txt")] == [50, 50]
    assert len({a.coingecko_id for a in assets if a.coingecko_id}) == 50
    assert {(a.pair.quote, a.pair.unit) for a in assets if a.binance_pair} == {("USDT", 1)}
    assert [a.symbol for a in assets if a.asset_class == "crypto" and not a.binance_pair] == [
        "USDT",
        "LEO",
        "XMR",
        "CRO",
    ]


@pytest.mark.parametrize(
    ("name", "line", "sentence"),
    [
        ("cryptolist.txt", "BTCC", "cryptolist.txt:52: unknown symbol 'BTCC': did you mean BTC?"),
        ("cryptolist.txt", "btc # again", "cryptolist.txt:52: 'BTC' is listed twice"),
        ("stocklist.txt", "ETH", "stocklist.txt:52: unknown symbol 'ETH'"),
        (ASSET_INFO, "NEW,New coin,crypto,DeFi,NEWUSDT,new,", "asset_info.csv: 'NEW' is not in cryptolist.txt"),
        (ASSET_INFO, "BTC,Bitcoin,crypto,L1,XUSDT,,", f"{ASSET_INFO}:102: 'BTC' is listed twice"),
        (ASSET_INFO, "X,Ex,crypto,L1,,bitcoin,", f"{ASSET_INFO}: coingecko_id 'bitcoin' of X already belongs to BTC"),
        (ASSET_INFO, "X,Ex,crypto,L1,BTCUSDT,,", f"{ASSET_INFO}:102: binance_pair 'BTCUSDT' is not X, or 1000X"),
        (ASSET_INFO, "X,Ex,crypto,L1,X/USDT,,", "write it as Binance does, such as XUSDT, or leave it empty"),
        (ASSET_INFO, "X,Ex,crypto,L1,,x coin,", f"{ASSET_INFO}:102: coingecko_id 'x coin' holds a character"),
        (ASSET_INFO, "1000SATS,Sats,crypto,L1,1000SATSUSDT,,", "prices are for one coin: call it SATS"),
        (ASSET_INFO, "A/B,Ex,crypto,L1,,ab,", f"{ASSET_INFO}:102: 'A/B' must have at most 64 characters and none of /"),
        (ASSET_INFO, 'X,"Ex,crypto,L1,,x,', f"{ASSET_INFO}:102: 'X': unexpected end of data"),
        (ASSET_INFO, "X,Ex,bond,L1,,,X", f"{ASSET_INFO}:102: asset_class 'bond' is neither crypto nor stock"),
        (ASSET_INFO, "X,,crypto,L1,,,X", f"{ASSET_INFO}:102: 'X' has no name"),
        (ASSET_INFO, "X,Ex, Inc,crypto,L1,,,X,", f"{ASSET_INFO}:102: more fields than the header names"),
        (ASSET_INFO, "X,Ex,stock,Energy,XUSDT,,X", f"{ASSET_INFO}:102: 'X' is a stock: leave binance_pair"),
        (ASSET_INFO, "X,Ex,crypto,L1,,,", f"{ASSET_INFO}:102: 'X' is offered by no source"),
    ],
)
def test_bad_seeds_are_named(seeds, name, line, sentence):
    append(seeds / name, line)
    assert any(sentence in problem for problem in check(seeds)), check(seeds)


def test_header_and_missing_file_are_configuration_errors(seeds):
    (seeds / "stocklist.txt").unlink()
    with pytest.raises(ConfigError, match=r"stocklist\.txt does not exist"):
        check(seeds)
    (seeds / ASSET_INFO).write_text("symbol,name\n")
    with pytest.raises(ConfigError, match="the header must be symbol,name,asset_class"):
        load_assets(seeds / ASSET_INFO)


def test_lists_come_from_a_line_or_a_file_with_comments(tmp_path):
    file = tmp_path / "mine"
    file.write_text("# my coins\n\nbtc   # the first\nETH\nBTC\n")
    assert load_list(file) == load_list(str(file)) == ["BTC", "ETH"]
    assert load_list("btc, eth") == ["BTC", "ETH"]
    assert load_list("AAPL") == ["AAPL"]
    with pytest.raises(ConfigError, match="lists no symbol"):
        load_list(" , ")
    with pytest.raises(ConfigError, match="does not exist"):
        load_list("seeds/none.txt")


def test_a_ticker_with_a_dot_is_a_symbol_and_no_file(tmp_path, monkeypatch):
    """27-one-dotted-ticker.env"""
    assert load_list("BRK.B") == ["BRK.B"]
    assert load_list("brk b") == ["BRK B"]
    assert load_list("X" * 5000) == ["X" * 5000]
    for missing in ("coins.txt", "Coins.CSV", "seeds/coins", "/coins"):
        with pytest.raises(ConfigError, match="does not exist; name a file"):
            load_list(missing)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "BRK.B").write_text("KO\n")
    assert load_list("BRK.B") == ["KO"]


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("\ufeffBTC", "BTC"),
        ("B\u200bT\u2060C", "BTC"),
        ("\u202aBTC\u202c", "BTC"),
        ("bt\0c", "BTC"),
        ("\uff22\uff34\uff23", "BTC"),  # full-width letters
        ("cafe\u0301", "CAF\u00c9"),
        ("CAF\u00c9", "CAF\u00c9"),
        (" brk\u00a0\u200b b\t", "BRK B"),
        ("\u5e01\u5b89\u4eba\u751f", "\u5e01\u5b89\u4eba\u751f"),
        ("\ud800", "?"),
    ],
)
def test_a_symbol_has_one_form_wherever_it_comes_from(tmp_path, text, symbol):
    assert normalise(text) == normalise(normalise(text)) == symbol
    (tmp_path / "mine.txt").write_text(text.encode("utf-8", "replace").decode())
    assert load_list(tmp_path / "mine.txt") == [symbol]


COMMAS = (SEEDS / ASSET_INFO).read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_files_are_read_as_spreadsheets_write_them(tmp_path, encoding, separator, end):
    text = StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=end)
    writer.writerows(csv.reader(COMMAS.splitlines()))
    (tmp_path / ASSET_INFO).write_bytes(text.getvalue().encode(encoding))
    assert load_assets(tmp_path / ASSET_INFO) == load_assets(SEEDS / ASSET_INFO)
    (tmp_path / "mine.txt").write_bytes(f"BTC{end}ETH{separator.strip() or ';'}SOL{end}".encode(encoding))
    assert load_list(tmp_path / "mine.txt") == ["BTC", "ETH", "SOL"]


def test_a_bad_line_costs_itself_alone(tmp_path):
    info = tmp_path / ASSET_INFO
    lines = ['X,"Ex,crypto,L1,,x,', "Y,,crypto,L1,,y,", "Z,Zed,bond,L1,,z,", "OLD,Old,crypto,Meme,OLD/USDT,old-coin,"]
    info.write_text("\n".join([*COMMAS.splitlines()[:1], *lines, *COMMAS.splitlines()[1:]]))
    table = load_assets(info)
    assert [a for a in table.assets if a.symbol != "OLD"] == list(load_assets(SEEDS / ASSET_INFO).assets)
    assert set(table.refused("crypto")) == {"X", "Y", "Z"}
    assert set(table.refused("stock")) == {"Z"}
    assert table.refused("crypto")["Y"] == f"{info}:3: 'Y' has no name"
    old = table.of("crypto")["OLD"]
    assert (old.coingecko_id, list(old.refused)) == ("old-coin", ["binance_pair"])
    assert old.refused["binance_pair"].startswith(f"{info}:5: binance_pair 'OLD/USDT' is not OLD")


def test_a_coin_and_a_share_may_have_one_symbol(tmp_path):
    info = tmp_path / ASSET_INFO
    info.write_text(
        COMMAS.splitlines()[0] + "\nDASH,Dash,crypto,Privacy,DASHUSDT,dash,DASH-USD\n"
        "DASH,DoorDash,stock,Consumer,,,DASH\nDASH,Dash again,crypto,Privacy,,dash,\n"
    )
    table = load_assets(info)
    assert table.of("crypto")["DASH"].name == "Dash"
    assert table.of("stock")["DASH"].name == "DoorDash"
    assert table.problems == [f"{info}:4: 'DASH' is listed twice: the first line stands"]


@pytest.mark.parametrize(
    ("symbol", "pair", "quote", "unit"),
    [
        ("BTC", "BTCUSDT", "USDT", 1),
        ("ETH", "ETHBTC", "BTC", 1),
        ("GBP1", "GBP1BTC", "BTC", 1),
        ("SATS", "1000SATSUSDT", "USDT", 1000),
        ("BABYDOGE", "1MBABYDOGEUSDT", "USDT", 1_000_000),
        ("MOG", "1000000MOGUSDC", "USDC", 1_000_000),
        ("1INCH", "1INCHEUR", "EUR", 1),
        ("USDT", "USDTTRY", "TRY", 1),
        ("\u5e01\u5b89\u4eba\u751f", "\u5e01\u5b89\u4eba\u751fUSDT", "USDT", 1),
    ],
)
def test_a_pair_says_how_many_of_what_for_which_currency(symbol, pair, quote, unit):
    """15-thousand-unit-pairs.csv and its like"""
    assert read_pair(symbol, pair) == Pair(quote, unit)


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("OLD", "OLD/USDT"),
        ("BTC", "ETHUSDT"),
        ("INCH", "1INCHUSDT"),
        ("BTC", "BTC"),
        ("BTC", "BTCXYZ"),
        ("BTC", "USDT"),
    ],
)
def test_a_pair_that_cannot_be_read_is_refused_with_the_way_out(symbol, pair):
    with pytest.raises(ValueError, match=f"such as {symbol}USDT, or leave it empty"):
        read_pair(symbol, pair)
