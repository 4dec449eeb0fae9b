"""What is traded: the symbol lists and the table that says what each source calls a symbol.

``cryptolist.txt`` and ``stocklist.txt`` say what is ingested, ``asset_info.csv`` what it is. Symbols come from these
files, from a file the user names, or from a list in one line (``BTC,ETH``): no code is touched to add one. A line that
is wrong is refused by its number and stops no other.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from tickvault.core.errors import ConfigError
from tickvault.core.suggestion import suggestion
from tickvault.market.pairs import Pair, read_pair

AssetClass = Literal["crypto", "stock"]
COLUMNS = ("symbol", "name", "asset_class", "sector", "binance_pair", "coingecko_id", "yahoo_ticker")
LISTS: dict[str, AssetClass] = {"cryptolist.txt": "crypto", "stocklist.txt": "stock"}
ASSET_INFO = "asset_info.csv"

_LISTINGS, _LONGEST = COLUMNS[4:], 64
_SEPARATORS = re.compile(r"[,;\r\n]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_FILES = {".txt", ".csv", ".lst"}
_UTF_16, _UNSEEN = (b"\xff\xfe", b"\xfe\xff"), {"Cc", "Cf"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One line of ``asset_info.csv``; an empty name means that the source does not offer it.

    Args:
        symbol: What the platform calls it, upper case; with the class the key of every table.
        name: For people.
        asset_class: ``crypto`` or ``stock``.
        sector: GICS sector of a stock, kind of a coin.
        binance_pair: For example ``BTCUSDT``.
        coingecko_id: For example ``bitcoin``; CoinGecko does not go by tickers.
        yahoo_ticker: For example ``BTC-USD`` or ``AAPL``.
        refused: By column, why a source's name cannot be used, with file and line; the other sources can.
    """

    symbol: str
    name: str
    asset_class: AssetClass
    sector: str
    binance_pair: str
    coingecko_id: str
    yahoo_ticker: str
    refused: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    @property
    def pair(self) -> Pair:
        """What ``binance_pair`` says; it is known to be readable where ``refused`` does not name it."""
        return read_pair(self.symbol, self.binance_pair)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is no asset; ``problem`` names file and line and what to do."""

    symbol: str
    asset_class: str
    problem: str


@dataclass(frozen=True, slots=True)
class AssetTable:
    """``asset_info.csv`` as far as it can be read, and the lines that cannot."""

    assets: tuple[Asset, ...]
    refusals: tuple[Refusal, ...] = ()

    def of(self, asset_class: AssetClass) -> dict[str, Asset]:
        """Return a class's assets by symbol: a coin and a share may have the same."""
        return {a.symbol: a for a in self.assets if a.asset_class == asset_class}

    def refused(self, asset_class: AssetClass) -> dict[str, str]:
        """Return by symbol what is wrong with its line, where no good line has it."""
        known = self.of(asset_class)
        other = {kind for kind in LISTS.values() if kind != asset_class}
        return {
            r.symbol: r.problem for r in reversed(self.refusals) if r.symbol not in known and r.asset_class not in other
        }

    @property
    def problems(self) -> list[str]:
        """Everything that is refused, as sentences."""
        return [r.problem for r in self.refusals] + [text for a in self.assets for text in a.refused.values()]


def normalise(text: str) -> str:
    """Return the one form of a symbol, wherever it comes from: upper case, composed, without what cannot be seen.

    Full-width letters become plain ones, any white space one space, half a character the replacement character.
    """
    return _clean(unicodedata.normalize("NFKC", _clean(text)).upper())


def _clean(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    seen = "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in _UNSEEN)
    return unicodedata.normalize("NFC", " ".join(seen.split()))


def default_folder() -> Path:
    """Find the ``seeds`` folder: in the working directory, else beside the package's source tree.

    Raises:
        ConfigError: Neither is there.
    """
    candidates = (Path("seeds"), Path(__file__).resolve().parents[3] / "seeds")
    for folder in candidates:
        if (folder / ASSET_INFO).is_file():
            return folder
    raise ConfigError(
        f"no seeds folder with {ASSET_INFO} in {' or '.join(str(c.parent.resolve()) for c in candidates)}"
    )


def load_list(given: str | Path) -> list[str]:
    """Read symbols from a file (one per line, ``#`` starts a comment) or from a list such as ``BTC,ETH`` or ``BRK.B``.

    A text is a file's name where that file exists, or where it has a folder or the ending of a text file.

    Returns:
        Symbols in their one form and the order given, each once.

    Raises:
        ConfigError: The file is missing, or nothing is listed.
    """
    symbols = list(dict.fromkeys(symbol for _, symbol in _listed(given)))
    if not symbols:
        raise ConfigError(f"'{given}' lists no symbol: write one per line, or a comma-separated list such as BTC,ETH")
    return symbols


def load_assets(path: Path) -> AssetTable:
    """Read ``asset_info.csv``, its fields separated by commas, semicolons or tabs; a bad line costs only itself.

    Raises:
        ConfigError: The file is missing, is no text, or its header is another.
    """
    assets: dict[tuple[str, str], Asset] = {}
    refusals = []
    for line, row, problem in _rows(path):
        key = (row["symbol"], row["asset_class"])
        found = [problem] if problem else _row_problems(row)
        if key in assets:
            found.append(f"'{row['symbol']}' is listed twice: the first line stands")
        if found:
            refusals.append(Refusal(*key, f"{path}:{line}: {found[0]}"))
        else:
            assets[key] = _asset(row, f"{path}:{line}: ")
    return AssetTable(tuple(assets.values()), tuple(refusals))


def check(folder: Path) -> list[str]:
    """Hold the two lists and ``asset_info.csv`` to each other.

    Returns:
        One sentence per problem, naming the file and mostly the line; empty when all is well.

    Raises:
        ConfigError: A file is missing or has another header.
    """
    info = folder / ASSET_INFO
    table = load_assets(info)
    problems = table.problems + [f"{info}: {sentence}" for sentence in _shared(table.assets)]
    for name, asset_class in LISTS.items():
        listed = [*_listed(folder / name)]
        problems += _list_problems(folder / name, listed, table.of(asset_class))
        symbols = {symbol for _, symbol in listed}
        problems += [
            f"{info}: '{symbol}' is not in {name}" for symbol in table.of(asset_class) if symbol not in symbols
        ]
    return problems


def unknown(symbol: str, known: Iterable[str]) -> str:
    """Say what to do about a symbol that no line of ``asset_info.csv`` has."""
    hint = suggestion(symbol, known, f"add a line for it to {ASSET_INFO}", cutoff=0.5, quoted=False)
    return f"'{symbol}': {hint}"


def _shared(assets: Sequence[Asset]) -> Iterator[str]:
    """Say which names of a source two assets have: each gets its rows, but it is hardly meant."""
    owners: dict[tuple[str, str], str] = {}
    for asset in assets:
        for column in _LISTINGS:
            name = getattr(asset, column)
            owner = owners.setdefault((column, name), asset.symbol)
            if name and owner != asset.symbol:
                yield f"{column} '{name}' of {asset.symbol} already belongs to {owner}"


def _list_problems(path: Path, listed: Sequence[tuple[int, str]], known: Mapping[str, Asset]) -> Iterator[str]:
    seen: set[str] = set()
    for line, symbol in listed:
        if symbol in seen:
            yield f"{path}:{line}: '{symbol}' is listed twice"
        elif symbol not in known:
            yield f"{path}:{line}: unknown symbol {unknown(symbol, known)}"
        seen.add(symbol)


def _listed(given: str | Path) -> Iterator[tuple[int, str]]:
    text = given if isinstance(given, str) and not _is_file(given) else _read(Path(given))
    for number, line in enumerate(_LINE_END.split(text), start=1):
        for part in _SEPARATORS.split(line.partition("#")[0]):
            symbol = normalise(part.strip().strip('"'))
            if symbol:
                yield number, symbol


def _is_file(given: str) -> bool:
    if _SEPARATORS.search(given):
        return False
    try:
        return "/" in given or Path(given).suffix.lower() in _FILES or Path(given).is_file()
    except OSError:  # longer than a name may be
        return False


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str], str]]:
    """Yield line, fields and what is wrong with the line as such; no field spans lines, so no quote swallows one."""
    header, *lines = _LINE_END.split(_read(path))
    separator = max(",;\t", key=header.count)
    if tuple(_clean(name).lower() for name in _split(header, separator)) != COLUMNS:
        raise ConfigError(f"{path}:1: the header must be {','.join(COLUMNS)}")
    for number, line in enumerate(lines, start=2):
        if not line.strip().strip(separator):
            continue
        problem = ""
        try:
            fields = _split(line, separator)
        except csv.Error as error:
            fields = line.split(separator)
            problem = f"'{_clean(fields[0])}': {error}; quote a field with \" on both sides or not at all"
        if len(fields) > len(COLUMNS) and any(fields[len(COLUMNS) :]):
            problem = problem or "more fields than the header names; quote a name that contains a comma"
        row = dict(zip_longest(COLUMNS, map(_clean, fields[: len(COLUMNS)]), fillvalue=""))
        yield (
            number,
            row
            | {
                "symbol": normalise(row["symbol"]),
                "asset_class": row["asset_class"].lower(),
                "binance_pair": row["binance_pair"].upper(),
            },
            problem,
        )


def _split(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator, strict=True), [])


def _row_problems(row: Mapping[str, str]) -> list[str]:
    symbol = row["symbol"]
    problems = [f"'{symbol}' has no {column}" for column in COLUMNS[:4] if not row[column]]
    if row["asset_class"] not in LISTS.values():
        problems.append(f"asset_class '{row['asset_class']}' is neither crypto nor stock")
    if len(symbol) > _LONGEST or re.search(r"[/:,;#]", symbol):
        problems.append(f"'{symbol[:_LONGEST]}' must have at most {_LONGEST} characters and none of / : , ; #")
    if row["asset_class"] == "stock" and (row["binance_pair"] or row["coingecko_id"]):
        problems.append(f"'{symbol}' is a stock: leave binance_pair and coingecko_id empty")
    if not any(row[column] for column in _LISTINGS):
        problems.append(f"'{symbol}' is offered by no source")
    return problems


def _asset(row: Mapping[str, str], where: str) -> Asset:
    refused = {}
    if row["binance_pair"]:
        try:
            read_pair(row["symbol"], row["binance_pair"])
        except ValueError as error:
            refused["binance_pair"] = f"{where}{error}"
    for column in _LISTINGS[1:]:
        if re.search(r"[\s,/?&#]", row[column]):
            refused[column] = f"{where}{column} '{row[column]}' holds a character that no name there has"
    asset_class = next(kind for kind in LISTS.values() if kind == row["asset_class"])
    pair, id_, ticker = (row[column] for column in _LISTINGS)
    return Asset(row["symbol"], row["name"], asset_class, row["sector"], pair, id_, ticker, refused)


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; name a file or a comma-separated list of symbols") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text: {error}") from error
