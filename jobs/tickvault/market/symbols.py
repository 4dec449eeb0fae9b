"""What is traded: the symbol lists and the table that says what each source calls a symbol.

``cryptolist.txt`` and ``stocklist.txt`` say what is ingested, ``asset_info.csv`` what it is. Symbols come from these
files, from a file the user names, or from a list in one line (``BTC,ETH``): no code is touched to add one.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tickvault.core.errors import ConfigError
from tickvault.core.suggestion import suggestion

AssetClass = Literal["crypto", "stock"]
COLUMNS = ("symbol", "name", "asset_class", "sector", "binance_pair", "coingecko_id", "yahoo_ticker")
LISTS: dict[str, AssetClass] = {"cryptolist.txt": "crypto", "stocklist.txt": "stock"}
ASSET_INFO = "asset_info.csv"


@dataclass(frozen=True, slots=True)
class Asset:
    """One line of ``asset_info.csv``; an empty name means that the source does not offer it.

    Args:
        symbol: What the platform calls it, upper case; the key of every table.
        name: For people.
        asset_class: ``crypto`` or ``stock``.
        sector: GICS sector of a stock, kind of a coin.
        binance_pair: For example ``BTCUSDT``.
        coingecko_id: For example ``bitcoin``; CoinGecko does not go by tickers.
        yahoo_ticker: For example ``BTC-USD`` or ``AAPL``.
    """

    symbol: str
    name: str
    asset_class: AssetClass
    sector: str
    binance_pair: str
    coingecko_id: str
    yahoo_ticker: str


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
    """Read symbols from a file (one per line, ``#`` starts a comment) or from a comma-separated list.

    Returns:
        Upper-case symbols in the order given, each once.

    Raises:
        ConfigError: The file is missing, or nothing is listed.
    """
    symbols = list(dict.fromkeys(symbol for _, symbol in _listed(given)))
    if not symbols:
        raise ConfigError(f"'{given}' lists no symbol: write one per line, or a comma-separated list such as BTC,ETH")
    return symbols


def load_assets(path: Path) -> dict[str, Asset]:
    """Read ``asset_info.csv`` into assets by symbol.

    Raises:
        ConfigError: The file is missing, its header is another, or a line is not a valid asset.
    """
    assets: dict[str, Asset] = {}
    for line, row in _rows(path):
        problems = [*_row_problems(row), *([f"'{row['symbol']}' is listed twice"] if row["symbol"] in assets else [])]
        if problems:
            raise ConfigError(f"{path}:{line}: {problems[0]}")
        assets[row["symbol"]] = _asset(row)
    return assets


def select(symbols: Iterable[str], assets: Mapping[str, Asset], asset_class: AssetClass | None = None) -> list[Asset]:
    """Give the asset of each symbol, in the order given.

    Raises:
        ConfigError: A symbol is unknown (the closest known one is suggested) or of another class.
    """
    chosen = []
    for symbol in symbols:
        asset = assets.get(symbol)
        if asset is None:
            raise ConfigError(_unknown(symbol, assets, asset_class))
        if asset_class and asset.asset_class != asset_class:
            raise ConfigError(f"'{symbol}' is a {asset.asset_class}, this job wants symbols of class {asset_class}")
        chosen.append(asset)
    return chosen


def check(folder: Path) -> list[str]:
    """Hold the two lists and ``asset_info.csv`` to each other.

    Returns:
        One sentence per problem, naming file and line; empty when all is well.

    Raises:
        ConfigError: A file is missing or has another header.
    """
    info = folder / ASSET_INFO
    problems: list[str] = []
    assets: dict[str, Asset] = {}
    taken: dict[tuple[str, str], str] = {}
    for line, row in _rows(info):
        found = _row_problems(row)
        if row["symbol"] in assets:
            found.append(f"'{row['symbol']}' is listed twice")
        for column in COLUMNS[4:]:
            owner = taken.setdefault((column, row[column]), row["symbol"])
            if row[column] and owner != row["symbol"]:
                found.append(f"{column} '{row[column]}' already belongs to {owner}")
        problems += [f"{info}:{line}: {sentence}" for sentence in found]
        assets[row["symbol"]] = _asset(row)
    listed: set[str] = set()
    for name, asset_class in LISTS.items():
        problems += _list_problems(folder / name, asset_class, assets, listed)
    unlisted = [symbol for symbol in assets if symbol not in listed]
    problems += [f"{info}: '{symbol}' is in neither {' nor '.join(LISTS)}" for symbol in unlisted]
    return problems


def _list_problems(path: Path, asset_class: AssetClass, assets: Mapping[str, Asset], listed: set[str]) -> list[str]:
    problems = []
    seen: set[str] = set()
    for line, symbol in _listed(path):
        if symbol in seen:
            problems.append(f"{path}:{line}: '{symbol}' is listed twice")
        elif symbol not in assets:
            problems.append(f"{path}:{line}: {_unknown(symbol, assets, asset_class)}")
        elif assets[symbol].asset_class != asset_class:
            problems.append(f"{path}:{line}: '{symbol}' is a {assets[symbol].asset_class} in {ASSET_INFO}")
        seen.add(symbol)
    listed |= seen
    return problems


def _unknown(symbol: str, assets: Mapping[str, Asset], asset_class: AssetClass | None) -> str:
    known = [a.symbol for a in assets.values() if asset_class in (None, a.asset_class)]
    hint = suggestion(symbol, known, f"add a line for it to {ASSET_INFO}", cutoff=0.5)
    return f"unknown symbol '{symbol}': {hint}"


def _listed(given: str | Path) -> Iterator[tuple[int, str]]:
    path = Path(given)
    if isinstance(given, str) and ("," in given or not (path.is_file() or path.suffix or path.parent.name)):
        lines = given.split(",")
    else:
        lines = _read(path).splitlines()
    for number, line in enumerate(lines, start=1):
        symbol = line.partition("#")[0].strip().upper()
        if symbol:
            yield number, symbol


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(_read(path).splitlines(), restval="")
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ConfigError(f"{path}:1: the header must be {','.join(COLUMNS)}")
    for row in reader:
        yield reader.line_num, {str(key): str(value).strip() for key, value in row.items()}


def _row_problems(row: Mapping[str, str]) -> list[str]:
    problems = [f"'{row['symbol']}' has no {column}" for column in COLUMNS[:4] if not row[column]]
    if "None" in row:
        problems.append("more fields than the header names; quote a name that contains a comma")
    if row["asset_class"] not in LISTS.values():
        problems.append(f"asset_class '{row['asset_class']}' is neither crypto nor stock")
    if row["symbol"] != row["symbol"].upper():
        problems.append(f"'{row['symbol']}' must be upper case")
    if row["asset_class"] == "stock" and (row["binance_pair"] or row["coingecko_id"]):
        problems.append(f"'{row['symbol']}' is a stock: leave binance_pair and coingecko_id empty")
    if not (row["binance_pair"] or row["coingecko_id"] or row["yahoo_ticker"]):
        problems.append(f"'{row['symbol']}' is offered by no source")
    return problems


def _asset(row: Mapping[str, str]) -> Asset:
    asset_class: AssetClass = "stock" if row["asset_class"] == "stock" else "crypto"
    return Asset(
        symbol=row["symbol"],
        name=row["name"],
        asset_class=asset_class,
        sector=row["sector"],
        binance_pair=row["binance_pair"],
        coingecko_id=row["coingecko_id"],
        yahoo_ticker=row["yahoo_ticker"],
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; name a file or a comma-separated list of symbols") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text: {error}") from error
