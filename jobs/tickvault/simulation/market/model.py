"""The price process: daily bars of every asset from a fixed epoch, a pure function of (seed, symbol, day).

A symbol's log price swings around its anchor (a discrete Ornstein-Uhlenbeck process, half-life about five months), so
that a price stays believable for years. Its daily return is a market factor per class plus noise of its own; the two
factors are correlated. Each symbol has a random stream of its own: adding an asset changes no other.
"""

import csv
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from tickvault.market.symbols import Asset
from tickvault.simulation.market.trading_days import is_trading_day

Array = NDArray[np.float64]

EPOCH = date(2024, 1, 1)
HORIZON = date(2031, 1, 1)
DAYS = (HORIZON - EPOCH).days
SPLITS: dict[str, tuple[date, int]] = {"COST": (date(2026, 11, 18), 4)}
"""Symbol to the first day traded after its split, and how many shares one becomes."""

_FACTOR_CORRELATION = 0.35


@dataclass(frozen=True, slots=True)
class Dynamics:
    """How a kind of asset moves.

    Args:
        market: Standard deviation of the daily log return that is shared with its class.
        own: Standard deviation of the rest.
        pull: Share of the distance to the anchor that is lost per day.
        turnover: Share of the supply that is traded per day.
    """

    market: float
    own: float
    pull: float
    turnover: float


CRYPTO = Dynamics(market=0.020, own=0.022, pull=0.005, turnover=0.04)
STABLE = Dynamics(market=0.0, own=0.0004, pull=0.3, turnover=0.3)
STOCK = Dynamics(market=0.008, own=0.012, pull=0.005, turnover=0.004)


@dataclass(frozen=True, slots=True)
class Profile:
    """Where an asset starts from: price in USD (after any split), units that exist, dividend in percent, industry."""

    price: float
    supply: float
    dividend_percent: float
    industry: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Daily values as traded on that day, before later splits: arrays of (asset, day since EPOCH), NaN when closed."""

    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    trades: NDArray[np.bool_]


def profiles(assets: Sequence[Asset]) -> list[Profile]:
    """Give each asset's profile from ``profiles.csv``, or one derived from its symbol where that has none."""
    text = (files("tickvault.simulation.market") / "profiles.csv").read_text(encoding="utf-8")
    known = {
        row["symbol"]: Profile(
            float(row["price"]), float(row["supply"]), float(row["dividend_percent"]), row["industry"]
        )
        for row in csv.DictReader(text.splitlines())
    }
    return [known.get(asset.symbol) or _derived(asset) for asset in assets]


def uniform(*names: object, size: int) -> Array:
    """Give ``size`` numbers in [0, 1) that depend on the names alone."""
    return np.random.default_rng(zlib.crc32("|".join(map(str, names)).encode())).random(size)


def decimals(price: float) -> int:
    """Give the digits after the point an asset of this price is quoted with."""
    return int(np.clip(4 - np.floor(np.log10(price)), 2, 8))


def simulate(assets: Sequence[Asset], anchors: Sequence[Profile], seed: int) -> Series:
    """Generate every asset's daily bars from EPOCH to HORIZON."""
    common = _noise(seed, "market", 1)[:, 0]
    opens_at = np.array([is_trading_day(EPOCH + timedelta(days=n)) for n in range(DAYS)])
    factors = {name: _factor(seed, name, common) for name in ("crypto", "stock")}
    noise = np.stack([_noise(seed, asset.symbol, 5) for asset in assets])  # (asset, day, kind of noise)
    kinds = [_dynamics(asset) for asset in assets]
    trades = np.stack([opens_at if a.asset_class == "stock" else np.ones(DAYS, bool) for a in assets])
    beta = np.array([0.7 + 0.6 * uniform("beta", a.symbol, size=1)[0] for a in assets])[:, None]
    market = beta * np.array([k.market for k in kinds])[:, None] * np.stack([factors[a.asset_class] for a in assets])
    own = np.array([k.own for k in kinds])[:, None]
    returns = np.where(trades, market + own * noise[:, :, 0], 0.0)
    anchor = np.array([p.price for p in anchors])[:, None]
    close = anchor * np.exp(_swing(returns, np.array([k.pull for k in kinds])[:, None]))
    spread = np.hypot(own, beta * np.array([k.market for k in kinds])[:, None])
    gaps = np.where([[a.asset_class == "stock"] for a in assets], 0.3 * spread * noise[:, :, 3], 0.0)
    supply = np.array([p.supply for p in anchors])[:, None]
    turnover = np.array([k.turnover for k in kinds])[:, None]
    volume = supply * turnover * np.exp(0.3 * noise[:, :, 4] + 6 * np.minimum(np.abs(returns), 0.15))
    return _bars(assets, anchors, close, gaps, spread, noise, volume, trades)


def _bars(
    assets: Sequence[Asset],
    anchors: Sequence[Profile],
    close: Array,
    gaps: Array,
    spread: Array,
    noise: Array,
    volume: Array,
    trades: NDArray[np.bool_],
) -> Series:
    before = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    opening = before * np.exp(gaps)
    high = np.maximum(opening, close) * np.exp(0.5 * spread * np.abs(noise[:, :, 1]))
    low = np.minimum(opening, close) * np.exp(-0.5 * spread * np.abs(noise[:, :, 2]))
    for row, (asset, profile) in enumerate(zip(assets, anchors, strict=True)):
        split_day, ratio = SPLITS.get(asset.symbol, (EPOCH, 1))
        past = slice(0, (split_day - EPOCH).days)
        for prices in (opening, high, low, close):
            prices[row, past] *= ratio
            np.round(prices[row], decimals(profile.price), out=prices[row])
        volume[row, past] /= ratio
        np.round(volume[row], 0 if asset.asset_class == "stock" else 3, out=volume[row])
    for values in (opening, high, low, close, volume):
        values[~trades] = np.nan
    return Series(opening, high, low, close, volume, trades)


def _swing(returns: Array, pull: Array) -> Array:
    """Sum returns up, each day pulled back to zero by its share: x[t] = (1 - pull) * x[t-1] + r[t]."""
    path = np.empty_like(returns)
    level = np.zeros(len(returns))
    keep = 1 - pull[:, 0]
    for day in range(returns.shape[1]):
        level = keep * level + returns[:, day]
        path[:, day] = level
    return path


def _factor(seed: int, name: str, common: Array) -> Array:
    own = _noise(seed, f"factor {name}", 1)[:, 0]
    factor: Array = np.sqrt(_FACTOR_CORRELATION) * common + np.sqrt(1 - _FACTOR_CORRELATION) * own
    return factor


def _noise(seed: int, name: str, kinds: int) -> Array:
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return np.clip(generator.standard_normal((DAYS, kinds)), -4, 4)


def _dynamics(asset: Asset) -> Dynamics:
    if asset.asset_class == "stock":
        return STOCK
    return STABLE if asset.sector == "Stablecoin" else CRYPTO


def _derived(asset: Asset) -> Profile:
    size, share, dividend = uniform("profile", asset.symbol, size=3)
    if asset.asset_class == "stock":
        return Profile(float(20 + 400 * size), float(2e8 + 3e9 * share), float(round(max(0.0, 4 * dividend - 1), 1)))
    return Profile(float(round(10 ** (4 * size - 2), 4)), float(10 ** (7 + 3 * share)), 0.0)
