"""What is said of a name that is not known."""

from tickvault.core.suggestion import suggestion

NAMES = ["binance", "coingecko", "crypto_news"]


def test_what_comes_near_is_suggested():
    assert suggestion("binanse", NAMES) == "did you mean 'binance'?"
    assert suggestion("binanse", NAMES, quoted=False) == "did you mean binance?"
    assert suggestion("xy1", ["xy2", "xy3"], most=2) == "did you mean 'xy3' or 'xy2'?"
    assert suggestion("gecko", NAMES) != suggestion("gecko", NAMES, cutoff=0.9)


def test_else_everything_is_listed():
    assert suggestion("zzz", iter(NAMES)) == "there are: binance, coingecko, crypto_news"
    assert suggestion("zzz", NAMES, "add it") == "add it"
    assert suggestion("zzz", NAMES, "") == ""
