"""Pools of Faker's values: a few hundred of each kind are made once, the rows pick from them."""

from datetime import date
from functools import lru_cache

import pyarrow as pa

POOL_SIZE = 500
_OLDEST, _YOUNGEST = date(1945, 1, 1), date(2004, 12, 31)


class Pools:
    """Names, addresses and the like, :data:`POOL_SIZE` of each; the same for the same seed and version of Faker."""

    def __init__(self, seed: int) -> None:
        from faker import Faker

        fake = Faker("en_US", use_weighting=False)
        fake.seed_instance(seed)
        size = range(POOL_SIZE)
        self.first_name = pa.array([fake.first_name() for _ in size])
        self.last_name = pa.array([fake.last_name() for _ in size])
        self.phone = pa.array([fake.numerify("+1-###-555-01##") for _ in size])  # 555-01xx is reserved for fiction
        self.address = pa.array([fake.street_address() for _ in size])
        self.date_of_birth = pa.array([fake.date_between(_OLDEST, _YOUNGEST) for _ in size], pa.date32())
        companies = [fake.unique.company() for _ in size]
        self.company = pa.array(companies)
        self.host = pa.array(["".join(c for c in name.lower() if c.isascii() and c.isalpha()) for name in companies])


@lru_cache(maxsize=2)
def pools(seed: int) -> Pools:
    """Return the pools of a seed, made once per process."""
    return Pools(seed)
