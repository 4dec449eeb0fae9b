"""Whose news a headline is: precision and recall on labelled headlines, and the rules one by one."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tickvault.market.mentions import Mentions
from tickvault.market.symbols import ASSET_INFO, default_folder, load_assets, load_list

FIXTURES = Path(__file__).parents[1] / "fixtures"
FILES = ("headlines.txt", "headlines_held_back.txt")


def coins():
    return load_assets(default_folder() / ASSET_INFO).of("crypto")


@pytest.fixture(scope="module")
def mentions():
    return Mentions(coins().values())


def labelled(name):
    """Yield headlines and whose they are."""
    for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            whose, _, headline = line.partition(" | ")
            yield headline, frozenset(whose.split(",")) - {"-"}


@pytest.mark.parametrize("name", FILES)
def test_precision_and_recall(mentions, name):
    tally, wrong = Counter(), []
    for headline, coins in labelled(name):
        found = mentions.of(headline)
        tally.update(right=len(found & coins), invented=len(found - coins), missed=len(coins - found))
        if found != coins:
            wrong.append(f"{headline}: {sorted(found)}, it is {sorted(coins)}")
    assert tally["right"] / (tally["right"] + tally["invented"]) >= 0.95, "\n".join(wrong)
    assert tally["right"] / (tally["right"] + tally["missed"]) >= 0.95, "\n".join(wrong)


def test_the_headlines_are_many_and_about_every_coin_of_the_list():
    headlines = [pair for name in FILES for pair in labelled(name)]
    assert len(headlines) == len({headline for headline, _ in headlines}) >= 200
    about = {coin for _, coins in headlines for coin in coins}
    assert about >= set(load_list(default_folder() / "cryptolist.txt"))
    assert sum(not coins for _, coins in headlines) > 60


@pytest.mark.parametrize(
    ("text", "coins"),
    [
        ("Bitcoin Cash rallies after upgrade", {"BCH"}),
        ("bitcoin-cash rallies", {"BCH"}),
        ("In Bitcoin. Cash is king", {"BTC"}),
        ("BITCOIN NEAR ALL-TIME HIGH", {"BTC"}),
        ("NEAR PROTOCOL RALLIES TO RECORD HIGH", {"NEAR"}),
        ("$NEAR, $OP and $LINK", {"NEAR", "OP", "LINK"}),
        ("What is Render (RENDER)?", {"RENDER"}),
        ("Avalanche, Stellar and Bitcoin", {"AVAX", "XLM", "BTC"}),
        ("AVALANCHE OF SELLING HITS WALL STREET", set()),
        ("ETH/USDT", {"ETH"}),
        ("比特币BTC上涨", {"BTC"}),
        ("btcusd and WBTC and BTCs", set()),
        ("@bitcoin", set()),
        ("ＢＴＣ in wide letters", {"BTC"}),
        ("Bıtcoin with a dotless i", set()),
        ("", set()),
    ],
)
def test_rules(mentions, text, coins):
    assert mentions.of(text) == coins


def test_names_without_spaces_and_coins_of_ones_own():
    assets = coins()
    own = replace(assets["BTC"], symbol="币安人生", name="币安人生", coingecko_id="bianrensheng")
    foreign = replace(assets["BTC"], symbol="WAVES", name="Waves", coingecko_id="waves")
    mentions = Mentions([*assets.values(), own, foreign])
    assert mentions.of("关于币安人生的消息") == {"币安人生"}
    assert mentions.of("Waves of selling hit Asia") == set()
    assert mentions.of("Waves blockchain halts") == {"WAVES"}


def test_stocks_are_no_coins():
    stocks = load_assets(default_folder() / ASSET_INFO).of("stock")
    assert Mentions([*stocks.values(), *coins().values()]).of("Apple Inc. and V rise, MA falls") == set()


def test_a_long_text_costs_no_time(mentions):
    start = time.process_time()
    mentions.of("NEAR near LINK " * 140)
    assert time.process_time() - start < 0.2
