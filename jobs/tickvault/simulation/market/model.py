"""The price process: daily bars of every asset from a fixed epoch, a pure function of (seed, symbol, day).

A symbol's log price swings around its anchor (a discrete Ornstein-Uhlenbeck process, half-life about five months), so
that a price stays believable for years. Its daily shock is a market factor per class plus noise of its own, both with a
Student t's fat tails; the two factors are correlated. How much a shock moves the price follows from the shocks before
it (GARCH(1,1), Bollerslev 1986): a wild day is followed by wild days; and once a quarter the whole market is under
stress for some weeks. Each symbol has a random stream of its own: adding an asset changes no other.
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
_TAIL, _WILDEST_SHOCK = 6, 5.0
"""Degrees of freedom of the Student t that shocks follow, and the most standard deviations one has."""
_ECHO, _MEMORY, _WILDEST_DAY = 0.25, 0.55, 6.0
"""How much of yesterday's squared move and of its variance is in today's variance, and the most it is of the usual."""
_STRESS_EVERY, _STRESS_DAYS, _STRESS = 91, (16, 24), (3.5, 4.0)
"""Days in which one spell of stress falls, how long it lasts, and by how much it multiplies every move."""


@dataclass(frozen=True, slots=True)
class Dynamics:
    """How a kind of asset moves.

    Args:
        market: Standard deviation of the daily log return that is shared with its class, in the long run.
        own: Standard deviation of the rest, in the long run.
        pull: Share of the distance to the anchor that is lost per day.
        turnover: Share of the supply that is traded per day.
    """

    market: float
    own: float
    pull: float
    turnover: float


CRYPTO = Dynamics(market=0.021, own=0.021, pull=0.005, turnover=0.04)
STABLE = Dynamics(market=0.0, own=0.0004, pull=0.3, turnover=0.3)
STOCK = Dynamics(market=0.0085, own=0.0115, pull=0.005, turnover=0.004)


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
    common = _shocks(seed, "market")
    opens_at = np.array([is_trading_day(EPOCH + timedelta(days=n)) for n in range(DAYS)])
    factors = {name: _factor(seed, name, common) for name in ("crypto", "stock")}
    noise = np.stack([_noise(seed, asset.symbol) for asset in assets])  # (asset, day, kind of noise)
    kinds = [_dynamics(asset) for asset in assets]
    trades = np.stack([opens_at if a.asset_class == "stock" else np.ones(DAYS, bool) for a in assets])
    beta = np.array([0.7 + 0.6 * uniform("beta", a.symbol, size=1)[0] for a in assets])[:, None]
    market = beta * np.array([k.market for k in kinds])[:, None]
    own = np.array([k.own for k in kinds])[:, None]
    usual = np.hypot(own, market)
    shocks = market * np.stack([factors[a.asset_class] for a in assets])
    shocks += own * np.stack([_shocks(seed, a.symbol) for a in assets])
    spread = usual * _volatility(shocks / usual, trades) * _stress(seed)
    returns = np.where(trades, spread * shocks / usual, 0.0)
    anchor = np.array([p.price for p in anchors])[:, None]
    close = anchor * np.exp(_swing(returns, np.array([k.pull for k in kinds])[:, None]))
    gaps = np.where([[a.asset_class == "stock"] for a in assets], 0.3 * spread * noise[:, :, 2], 0.0)
    supply = np.array([p.supply for p in anchors])[:, None]
    turnover = np.array([k.turnover for k in kinds])[:, None]
    volume = supply * turnover * np.exp(0.3 * noise[:, :, 3] + 6 * np.minimum(np.abs(returns), 0.15))
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
    high = np.maximum(opening, close) * np.exp(0.5 * spread * np.abs(noise[:, :, 0]))
    low = np.minimum(opening, close) * np.exp(-0.5 * spread * np.abs(noise[:, :, 1]))
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


def _volatility(shocks: Array, trades: NDArray[np.bool_]) -> Array:
    """Give each day's standard deviation as a multiple of the usual one, from shocks of variance 1 of the days before.

    The variance is v[t+1] = 1 - a - b + (a * shock[t]**2 + b) * v[t] with a the echo and b the memory, 1 in the long
    run. A day without trade neither excites nor calms.
    """
    rest = 1 - _ECHO - _MEMORY
    kept = np.where(trades, _ECHO * shocks**2 + _MEMORY, 1.0)
    fresh = np.where(trades, rest, 0.0)
    path = np.empty_like(shocks)
    variance = np.ones(len(shocks))
    for day in range(shocks.shape[1]):
        path[:, day] = variance
        variance = np.minimum(kept[:, day] * variance + fresh[:, day], _WILDEST_DAY)
    return np.sqrt(path)


def _stress(seed: int) -> Array:
    """Give by how much each day's moves are larger, the same for every asset; the mean of its squares is 1.

    In each quarter there is one spell of stress at a random time: a regime as in Hamilton 1989, but one that
    surely comes, so that a year of data holds some for every seed.
    """
    drawn = _generator(seed, "stress").random((DAYS // _STRESS_EVERY + 1, 3))
    path = np.ones(DAYS)
    for spell, (start, length, height) in enumerate(drawn):
        days = int(_STRESS_DAYS[0] + length * (_STRESS_DAYS[1] - _STRESS_DAYS[0]))
        first = spell * _STRESS_EVERY + int(start * (_STRESS_EVERY - days))
        path[first : first + days] = _STRESS[0] + height * (_STRESS[1] - _STRESS[0])
    level: Array = path / np.sqrt(np.mean(path**2))
    return level


def _factor(seed: int, name: str, common: Array) -> Array:
    own = _shocks(seed, f"factor {name}")
    factor: Array = np.sqrt(_FACTOR_CORRELATION) * common + np.sqrt(1 - _FACTOR_CORRELATION) * own
    return factor


def _shocks(seed: int, name: str) -> Array:
    """Give one number a day with mean 0, variance 1 and fat tails: what is new on that day."""
    drawn = _generator(seed, name, "shocks").standard_t(_TAIL, DAYS) * np.sqrt((_TAIL - 2) / _TAIL)
    shocks: Array = np.clip(drawn, -_WILDEST_SHOCK, _WILDEST_SHOCK)
    return shocks


def _noise(seed: int, name: str) -> Array:
    """Give what the rest of a bar is made of, as (day, 4): reach up, reach down, opening gap, volume."""
    return np.clip(_generator(seed, name, "bars").standard_normal((DAYS, 4)), -4, 4)


def _generator(seed: int, *names: str) -> np.random.Generator:
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def _dynamics(asset: Asset) -> Dynamics:
    if asset.asset_class == "stock":
        return STOCK
    return STABLE if asset.sector == "Stablecoin" else CRYPTO


def _derived(asset: Asset) -> Profile:
    size, share, dividend = uniform("profile", asset.symbol, size=3)
    if asset.asset_class == "stock":
        return Profile(float(20 + 400 * size), float(2e8 + 3e9 * share), float(round(max(0.0, 4 * dividend - 1), 1)))
    return Profile(float(round(10 ** (4 * size - 2), 4)), float(10 ** (7 + 3 * share)), 0.0)
