"""The columns and numbers that the simulated rows are made of."""

from decimal import Decimal, localcontext

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tickvault.simulation.population.columns import decimals, numbered
from tickvault.simulation.population.noise import Noise
from tickvault.simulation.population.people import DAY, WINDOW, Population
from tickvault.simulation.population.pools import POOL_SIZE, Pools


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20), st.integers(1, 2**31 - 1))
def test_decimals_are_exact(units: list[int], factor: int) -> None:
    found = decimals(np.array(units, np.int64), factor).to_pylist()
    with localcontext(prec=60):  # the default would round what is expected
        assert found == [Decimal(u * factor).scaleb(-10) for u in units]


def test_identifiers_are_padded_and_grow() -> None:
    assert numbered("C", np.array([1, 999_999, 1_000_000]), 6).to_pylist() == ["C000001", "C999999", "C1000000"]


def test_a_number_depends_on_its_coordinates_alone() -> None:
    noise = Noise(1)
    index = np.arange(1000)
    assert (noise.bits("a", 5, index)[300:400] == noise.bits("a", 5, index[300:400])).all()
    assert (noise.bits("a", 5, index) != noise.bits("b", 5, index)).all()
    assert (noise.bits("a", 5, index) != noise.bits("a", 6, index)).all()
    assert (noise.bits("a", 5, index) != Noise(2).bits("a", 5, index)).all()


def test_numbers_are_uniform() -> None:
    parts = Noise(1).uniform("a", 20_000, np.arange(100_000))
    counts = np.histogram(parts, bins=20, range=(0, 1))[0]
    assert parts.min() >= 0
    assert parts.max() < 1
    assert abs(counts - 5_000).max() < 300  # more than four standard deviations


def test_pools_are_the_same_for_a_seed() -> None:
    one, same, other = Pools(1), Pools(1), Pools(2)
    assert vars(one).keys() == vars(same).keys()
    assert all(getattr(one, name).equals(getattr(same, name)) for name in vars(one))
    assert not one.first_name.equals(other.first_name)
    assert len(set(one.company.to_pylist())) == POOL_SIZE
    assert all(host.isalpha() for host in one.host.to_pylist())


def test_members_join_on_the_day_they_are_first_counted() -> None:
    people = Population(Noise(1), "customer", 500)
    day = 20_700
    before, after = people.size(day), people.size(day + 60)
    assert 500 < before < after
    joined = people.created_at(np.arange(after)) // DAY
    assert (joined[:before] < day).all()
    assert ((joined[before:] >= day) & (joined[before:] < day + 60)).all()


def test_everybody_changes_once_in_each_window() -> None:
    people = Population(Noise(1), "customer", 500)
    index = np.arange(500)
    window = np.full(500, 400)
    changed = people.changed_at(index, window)
    assert (changed // WINDOW == 400).all()
    assert (people.window(index, changed) == 399).all()
    assert (people.window(index, changed + 1) == 400).all()
    turns = sum(
        (people.value(name, index, window) != people.value(name, index, window - 1)).astype(int)
        for name in ("tier", "risk_tolerance", "country")
    )
    assert (turns == 1).all()
