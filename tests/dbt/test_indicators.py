"""Indicators against their textbook recursions, written out in plain Python."""

import math
import statistics
from itertools import pairwise
from typing import Any

import pytest
from warehouse import Dbt, read


def smoothed(values: list[float], period: int, alpha: float) -> list[float | None]:
    """Return the exponential average, seeded with the simple average of the first full window."""
    result: list[float | None] = [None] * (period - 1)
    average = sum(values[:period]) / period
    for i in range(period - 1, len(values)):
        average = average if i == period - 1 else average + alpha * (values[i] - average)
        result.append(average)
    return result


def expected(closes: list[float]) -> list[dict[str, float | None]]:
    """Return what the model should say of a series of closes."""
    n = len(closes)
    changes = [b - a for a, b in pairwise(closes)]
    gains = [None, *smoothed([max(c, 0.0) for c in changes], 14, 1 / 14)]
    losses = [None, *smoothed([max(-c, 0.0) for c in changes], 14, 1 / 14)]
    ema_12, ema_26 = smoothed(closes, 12, 2 / 13), smoothed(closes, 26, 2 / 27)
    macd = [None if b is None else a - b for a, b in zip(ema_12, ema_26, strict=True)]  # type: ignore[operator]
    signal = [None] * 25 + smoothed([m for m in macd if m is not None], 9, 0.2)
    logs = [math.log(b / a) for a, b in pairwise(closes)]
    rows = []
    for i in range(n):
        window = closes[i - 19 : i + 1] if i >= 19 else None
        gain, loss = gains[i], losses[i]
        rows.append({
            "sma_7": sum(closes[i - 6 : i + 1]) / 7 if i >= 6 else None,
            "sma_50": sum(closes[i - 49 : i + 1]) / 50 if i >= 49 else None,
            "ema_12": ema_12[i], "ema_26": ema_26[i], "macd": macd[i], "macd_signal": signal[i],
            "rsi_14": None if gain is None else 100.0 if loss == 0 else 100 - 100 / (1 + gain / loss),
            "bollinger_upper": statistics.fmean(window) + 2 * statistics.pstdev(window) if window else None,
            "bollinger_lower": statistics.fmean(window) - 2 * statistics.pstdev(window) if window else None,
            "volatility_20": statistics.stdev(logs[i - 20 : i]) if i >= 20 else None,
            "daily_return": closes[i] / closes[i - 1] - 1 if i else None,
            "cumulative_return": closes[i] / closes[0] - 1,
            "drawdown": closes[i] / max(closes[: i + 1]) - 1,
        })  # fmt: skip
    return rows


def test_indicators_are_the_textbooks(postgres_dbt: Dbt) -> None:
    series: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in read(postgres_dbt.warehouse, "build_marts.fct_asset_indicators"):
        series.setdefault((row["asset_hk"], row["source"]), []).append(row)
    assert len(series) == 7 * 2 + 9
    for key, rows in series.items():
        rows.sort(key=lambda row: row["price_date"])
        for row, textbook in zip(rows, expected([r["adj_close_price"] for r in rows]), strict=True):
            for name, value in textbook.items():
                if value is None:
                    assert row[name] is None, (key, row["bar"], name)
                else:
                    assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), (key, row["bar"], name)


def test_one_series_of_an_asset_is_primary(postgres_dbt: Dbt) -> None:
    primary = postgres_dbt.warehouse.query(
        "SELECT asset_type, source, count(DISTINCT asset_hk) FROM build_marts.fct_asset_indicators WHERE is_primary "
        "GROUP BY asset_type, source ORDER BY asset_type"
    )
    assert primary == [("crypto", "binance", 7), ("stock", "yfinance", 9)]
