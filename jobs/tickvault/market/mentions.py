"""Which coins a headline is about.

The longest name wins: «Bitcoin Cash» is not Bitcoin, also where only Bitcoin is read. A name that is a word of the
language («Avalanche», «Stellar») counts where what stands around it speaks of coins, and so does a symbol that is one
(NEAR, LINK, DOT), which has to be in capitals besides. Any other name or symbol counts in any case. Names in scripts
without spaces are found inside the text.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tickvault.market.symbols import Asset

# Names and symbols that are ordinary words, names of people or shorthand for something else.
_WORDS_TEXT = """
ada algo aptos apt arb ark atom avalanche axs band bat beam bonk celestia chi civic comp compound core cosmos
cro cronos crv curve dai dash dot ena enjin ens etc fet fil flare flow floki frax ftm gala gas gods golem graph
grt gt harmony hedera hot icp icx imx immutable inj injective iota jup jupiter just kava kaspa ldo leo lido link
loom luna magic maker mana mantle mask mina move near nem neo oasis ocean om omg ondo one op optimism orca ore
osmosis pendle people pepe pol polygon portal pyth qnt quant radix ray raydium ren render request ripple rose
rune safe sand sei shiba sky snx sol sonic space stacks status stellar storm stx sui sun super sushi tao terra
tether theta tia ton trump trust uma uni vet waves wif wld woo xai zen zeta
"""
_WORDS = frozenset(_WORDS_TEXT.split())
# What makes a word beside it a coin.
_NOUNS_TEXT = """
token tokens coin coins memecoin altcoin altcoins crypto cryptocurrency blockchain blockchains network protocol
chain mainnet testnet foundation labs ecosystem subnet subnets staking stakers validators validator holders
airdrop dapp dapps defi nft nfts rollup rollups superchain layer l1 l2 parachain parachains wallet wallets
stablecoin stablecoins usdt hub zone etf etfs etp dao whale whales bulls bears unlock unlocks hodlers mainnets
governance sidechain hashrate testnets devs developers price prices perps futures spot treasury depeg
"""
_NOUNS = frozenset(_NOUNS_TEXT.split())
# What prices do; after a symbol in capitals it says what that is.
_MOVES_TEXT = """
rally rallies rallied surges surge surged jumps jump jumped soars soar soared slides slid slumps slump slumped
tumbles tumble tumbled drops drop dropped falls fell gains gained rises rose climbs climbed plunges plunge
plunged dips dip dipped rebounds rebound rebounded pumps pumped dumps dumped breaks hits eyes trades trading up
down outperforms sheds adds bounces crashes crash spikes leads lags
"""
_MOVES = frozenset(_MOVES_TEXT.split())
_BEFORE = frozenset(
    ["token", "coin", "altcoin", "memecoin", "crypto", "cryptocurrency", "buy", "sell", "stake", "staked", "blockchain"]
)
# Other things that begin like a coin: nobody's news here.
_OTHERS = (
    "bitcoin sv", "bitcoin gold", "bitcoin diamond", "wrapped bitcoin", "ethereum name service", "ethereum pow",
    "eth zurich", "eth zürich", "cronos group", "terra classic", "polygon.com", "dash cam",
)  # fmt: skip
_ENDINGS = re.compile(r"\s+(?:token|protocol|dao|hub|network|finance|chain|ecosystem token|\d+)$", re.IGNORECASE)
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_EDGE = r"0-9A-Za-z\u00c0-\u024f_"
_WORD = re.compile(r"[^\W_][\w'’.-]*")
_PAIR = re.compile(r"\s?[/-]?\s?(?:USDT?|BTC|ETH|EUR)\b")
_SHOUTED = 0.7
_NEAR = 2


class _Term(NamedTuple):
    """A way to write a coin; ``owner`` is empty where the term is something else that must not be taken for one."""

    text: str
    owner: str
    is_symbol: bool
    is_word: bool


@dataclass(frozen=True, slots=True)
class _Found:
    term: _Term
    written: str
    start: int
    end: int


class Mentions:
    """Finds coins in texts.

    Args:
        assets: All coins that are known, not only those whose news are read.
    """

    def __init__(self, assets: Iterable[Asset]) -> None:
        self._terms: dict[str, _Term] = {text: _Term(text, "", False, False) for text in _OTHERS}
        coins = [asset for asset in assets if asset.asset_class == "crypto"]
        for names in (_names, _aliases, _symbols):  # what is a coin's own name is nobody else's alias
            for asset in coins:
                for text, is_symbol in names(asset):
                    folded = _folded(text)
                    term = _Term(folded, asset.symbol, is_symbol, is_word=folded in _WORDS or len(folded) < 3)  # noqa: PLR2004
                    self._terms.setdefault(folded, term)
        longest_first = sorted(self._terms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_bounded, longest_first)), re.IGNORECASE)

    def of(self, text: str) -> frozenset[str]:
        """Return the symbols of the coins a text is about."""
        text = unicodedata.normalize("NFKC", text)
        found = [
            _Found(term, match[0], match.start(), match.end())
            for match in self._pattern.finditer(text)
            if (term := self._terms.get(_folded(match[0])))  # None: the pattern takes a dotless i for an i
        ]
        sure = {f.term.owner for f in found if not f.term.is_word}
        shouted = _is_shouted(text)
        unsure = [f for f in found if f.term.is_word]
        said = sure | {f.term.owner for f in unsure if _speaks_of_coins(text, f, shouted=shouted)}
        # A list of coins and a name beside its own symbol lend each other what they mean.
        for f in (*unsure, *reversed(unsure)):
            if any(_are_listed(text, f, other) for other in found if other.term.owner in said):
                said.add(f.term.owner)
        return frozenset(said - {""})


def _names(asset: Asset) -> Iterator[tuple[str, bool]]:
    yield asset.name, asset.name == asset.symbol and not _UNSPACED.search(asset.name)


def _aliases(asset: Asset) -> Iterator[tuple[str, bool]]:
    """Give the name without its kind («Lido DAO»), and what CoinGecko's id says («ripple», «fetch ai»)."""
    spoken = asset.coingecko_id.replace("-", " ")
    for text in (asset.name, spoken):
        short = _ENDINGS.sub("", _ENDINGS.sub("", text))
        for alias in {text, short} - {asset.name, ""}:
            yield alias, alias.upper() == asset.symbol
    if asset.symbol == "ETH":
        yield "ether", False


def _symbols(asset: Asset) -> Iterator[tuple[str, bool]]:
    yield asset.symbol, not _UNSPACED.search(asset.symbol)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def _bounded(text: str) -> str:
    pattern = re.escape(text).replace(r"\ ", r"\s+")
    if _UNSPACED.search(text):
        return pattern
    return rf"(?<![{_EDGE}@#]){pattern}(?![{_EDGE}])"


def _is_shouted(text: str) -> bool:
    """Tell whether capitals say nothing because all is in capitals."""
    words = [word for word in _WORD.findall(text) if word[0].isalpha()]
    return len(words) > 2 and sum(word.isupper() for word in words) / len(words) > _SHOUTED  # noqa: PLR2004


def _speaks_of_coins(text: str, found: _Found, *, shouted: bool) -> bool:
    """Tell whether a word means the coin here."""
    before, after = text[: found.start], text[found.end :]
    capitals = found.written.isupper()
    if capitals and (before.endswith("$") or _PAIR.match(after) or (before.endswith("(") and after.startswith(")"))):
        return True
    if not found.written[0].isupper() or (found.term.is_symbol and not capitals):
        return False
    following = [_stem(word) for word in _WORD.findall(_clause(after))[:_NEAR]]
    if shouted:
        sure = _NOUNS - {"price", "prices"} if found.term.is_symbol else _NOUNS
        return bool(set(following[:1]) & sure)
    preceding = [word.lower() for word in _WORD.findall(before[-40:])[-1:]]
    return bool(
        set(following) & _NOUNS or set(preceding) & _BEFORE or (found.term.is_symbol and set(following[:1]) & _MOVES)
    )


def _stem(word: str) -> str:
    return word.lower().removesuffix("'s").removesuffix("’s")


def _clause(text: str) -> str:
    """Cut where another thought begins."""
    return re.split(r"[,;:!?()|—–]|\.\s", text, maxsplit=1)[0]


def _are_listed(text: str, one: _Found, other: _Found) -> bool:
    """Tell whether two terms stand in one list («Solana, Avalanche and Cardano»), or are one coin's name and symbol."""
    if one is other or not one.written[0].isupper() or (one.term.is_symbol and not one.written.isupper()):
        return False
    first, second = sorted((one, other), key=lambda f: f.start)
    between = text[first.end : second.start]
    if one.term.owner == other.term.owner:
        return one.written.isupper() or other.term.is_symbol
    return bool(re.fullmatch(r"\s?(?:,|/|&|\+|\||,?\s(?:and|or|und|y|et|vs\.?|versus))\s*", between))
