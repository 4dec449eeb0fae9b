"""Random numbers that are looked up instead of drawn: the same coordinates always give the same number.

No generator is carried along, so any row can be made alone, in any order and again later. The mixing function is the
finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Noise:
    """Numbers by purpose and coordinates; another seed is another world."""

    seed: int

    def bits(self, purpose: str, *coordinates: Ints | int) -> Words:
        """Return 64 random bits for each element of the coordinates, which are broadcast against each other."""
        key = hashlib.blake2b(f"{self.seed}|{purpose}".encode(), digest_size=8).digest()
        words = np.array([int.from_bytes(key, "little")], np.uint64)
        for coordinate in coordinates:
            words = _mixed(words + np.atleast_1d(np.asarray(coordinate, np.int64)).astype(np.uint64) * _STEP)
        return words

    def uniform(self, purpose: str, *coordinates: Ints | int) -> Floats:
        """Return numbers in [0, 1), with 53 random bits each."""
        floats: Floats = (self.bits(purpose, *coordinates) >> np.uint64(11)).astype(np.float64)
        floats *= 2.0**-53
        return floats

    def below(self, limit: Ints | int, purpose: str, *coordinates: Ints | int) -> Ints:
        """Return whole numbers from 0 to ``limit - 1``."""
        return np.asarray(self.uniform(purpose, *coordinates) * limit, np.int64)


def _mixed(words: Words) -> Words:
    words ^= words >> np.uint64(30)
    words *= _FIRST
    words ^= words >> np.uint64(27)
    words *= _SECOND
    words ^= words >> np.uint64(31)
    return words
