"""Arrow columns from numpy arrays: identifiers, instants, and decimals that never pass through a float."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tickvault.core.stream import INSTANT, MONEY
from tickvault.simulation.population.noise import Ints


def numbered(prefix: str, numbers: Ints, width: int) -> "pa.Array[Any]":
    """Return identifiers such as ``C000042``."""
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0")
    return joined("", pa.scalar(prefix), digits)


def joined(separator: str, *parts: "pa.Array[Any] | pa.Scalar[Any]") -> "pa.Array[Any]":
    """Return texts put together row by row."""
    join: Any = pc.binary_join_element_wise  # its declared types know no mixture of columns and constants
    column: pa.Array[Any] = join(*parts, separator)
    return column


def instants(microseconds: Ints) -> "pa.Array[Any]":
    """Return UTC instants from microseconds since 1970."""
    return pa.array(microseconds, pa.int64()).cast(INSTANT)


def decimals(units: Ints, factor: Ints | int = 1) -> "pa.Array[Any]":
    """Return ``units * factor`` ten-billionths as decimal(38, 10), exactly.

    Args:
        units: Not negative.
        factor: Positive, below 2**31; the product may have up to 94 bits.
    """
    low_mask = np.uint64(0xFFFFFFFF)
    value = np.asarray(units).astype(np.uint64)
    times = np.asarray(factor).astype(np.uint64)
    low = (value & low_mask) * times
    high = (value >> np.uint64(32)) * times + (low >> np.uint64(32))
    words = np.empty((len(value), 2), np.uint64)
    words[:, 0] = (high << np.uint64(32)) | (low & low_mask)
    words[:, 1] = high >> np.uint64(32)
    return pa.Array.from_buffers(MONEY, len(value), [None, pa.py_buffer(words.tobytes())])


def picked(pool: "pa.Array[Any]", rows: Ints) -> "pa.Array[Any]":
    """Return the pool's values at these positions."""
    return pool.take(pa.array(rows, pa.int64()))


def constant(value: str | None, length: int) -> "pa.Array[Any]":
    """Return a text column of one value."""
    return pa.repeat(pa.scalar(value, pa.string()), length)
