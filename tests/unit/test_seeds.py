"""The symbol lists and asset_info.csv are held to each other; what is wrong is named with file and line."""

import shutil

import pytest

from tickvault.core.errors import ConfigError
from tickvault.market.symbols import ASSET_INFO, check, default_folder, load_assets, load_list, select

SEEDS = default_folder()


@pytest.fixture
def seeds(tmp_path):
    for name in ("cryptolist.txt", "stocklist.txt", ASSET_INFO):
        shutil.copy(SEEDS / name, tmp_path / name)
    return tmp_path


def append(path, line):
    path.write_text(path.read_text() + line + "\n")


def test_shipped_seeds_pass_and_are_complete():
    assets = load_assets(SEEDS / ASSET_INFO)
    assert check(SEEDS) == []
    assert [len(load_list(SEEDS / name)) for name in ("cryptolist.txt", "stocklist.txt")] == [50, 50]
    assert len({a.coingecko_id for a in assets.values() if a.coingecko_id}) == 50
    assert [s for s, a in assets.items() if a.asset_class == "crypto" and not a.binance_pair] == [
        "USDT",
        "LEO",
        "XMR",
        "CRO",
    ]


@pytest.mark.parametrize(
    ("name", "line", "sentence"),
    [
        ("cryptolist.txt", "BTCC", "cryptolist.txt:52: unknown symbol 'BTCC': did you mean 'BTC'?"),
        ("cryptolist.txt", "btc # again", "cryptolist.txt:52: 'BTC' is listed twice"),
        ("stocklist.txt", "ETH", "stocklist.txt:52: 'ETH' is a crypto in asset_info.csv"),
        (ASSET_INFO, "NEW,New coin,crypto,DeFi,NEWUSDT,new,", "'NEW' is in neither cryptolist.txt nor stocklist.txt"),
        (ASSET_INFO, "BTC,Bitcoin,crypto,L1,XUSDT,,", f"{ASSET_INFO}:102: 'BTC' is listed twice"),
        (ASSET_INFO, "X,Ex,crypto,L1,BTCUSDT,,", f"{ASSET_INFO}:102: binance_pair 'BTCUSDT' already belongs to BTC"),
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


def test_unknown_symbols_suggest_the_closest():
    assets = load_assets(SEEDS / ASSET_INFO)
    assert [a.name for a in select(["BTC", "ETH"], assets, "crypto")] == ["Bitcoin", "Ethereum"]
    with pytest.raises(ConfigError, match="unknown symbol 'GOOG': did you mean 'GOOGL'"):
        select(["GOOG"], assets)
    with pytest.raises(ConfigError, match=r"unknown symbol '00000': add a line for it to asset_info\.csv"):
        select(["00000"], assets)
    with pytest.raises(ConfigError, match="'AAPL' is a stock, this job wants symbols of class crypto"):
        select(["AAPL"], assets, "crypto")
