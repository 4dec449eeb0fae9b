"""The rows of customers and corporates: what a state looks like in the streams' columns."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tickvault.market.streams import CORPORATES, CUSTOMERS
from tickvault.simulation.population.columns import constant, decimals, instants, joined, numbered, picked
from tickvault.simulation.population.noise import Ints
from tickvault.simulation.population.people import COUNTRIES, RISKS, TIERS, Population, States
from tickvault.simulation.population.pools import POOL_SIZE, Pools

EMPLOYED = 0.15
"""Share of the customers that belong to a company."""

_CITIES = {
    "US": ("New York", "Chicago", "Austin", "Seattle"),
    "GB": ("London", "Manchester", "Bristol", "Leeds"),
    "DE": ("Berlin", "Hamburg", "Munich", "Cologne"),
    "FR": ("Paris", "Lyon", "Nantes", "Lille"),
    "NL": ("Amsterdam", "Utrecht", "Rotterdam", "Eindhoven"),
    "JP": ("Tokyo", "Osaka", "Nagoya", "Fukuoka"),
    "SG": ("Singapore", "Tampines", "Jurong East", "Woodlands"),
    "VN": ("Hanoi", "Ho Chi Minh City", "Da Nang", "Hue"),
    "AU": ("Sydney", "Melbourne", "Perth", "Brisbane"),
    "CA": ("Toronto", "Vancouver", "Montreal", "Calgary"),
    "BR": ("Sao Paulo", "Recife", "Curitiba", "Salvador"),
    "IN": ("Mumbai", "Pune", "Chennai", "Delhi"),
}
_CITIES_EACH = 4
_CITY = pa.array([city for country in COUNTRIES for city in _CITIES[country]])
_INDUSTRIES = pa.array(
    [
        "Asset Management",
        "Construction",
        "Consulting",
        "Energy",
        "Healthcare",
        "Insurance",
        "Logistics",
        "Manufacturing",
        "Media",
        "Retail",
        "Software",
        "Telecommunications",
    ]
)


def customer_rows(
    customers: Population, corporates: Population, pools: Pools, begin: int, end: int
) -> Iterator[pa.RecordBatch]:
    """Yield the states of customers in an interval (see :meth:`Population.states`) in the stream's schema."""
    for states in customers.states(begin, end):
        index = states.index
        first = picked(pools.first_name, _pick(customers, "first_name", index))
        last = picked(pools.last_name, _pick(customers, "last_name", index))
        mailbox = joined(".", pc.utf8_lower(first), pc.utf8_lower(last), numbered("", index + 1, 1))
        columns = _common(customers, states) | {
            "customer_id": numbered("C", index + 1, 6),
            "first_name": first,
            "last_name": last,
            "email": joined("@", mailbox, pa.scalar("example.com")),
            "phone": picked(pools.phone, _pick(customers, "phone", index)),
            "date_of_birth": picked(pools.date_of_birth, _pick(customers, "date_of_birth", index)),
            "address": picked(pools.address, _pick(customers, "address", index)),
            "company_id": _employer(customers, corporates, index),
        }
        yield pa.RecordBatch.from_arrays([columns[n] for n in CUSTOMERS.schema.names], schema=CUSTOMERS.schema)


def corporate_rows(corporates: Population, pools: Pools, begin: int, end: int) -> Iterator[pa.RecordBatch]:
    """Yield the states of corporates in an interval (see :meth:`Population.states`) in the stream's schema."""
    noise = corporates.noise
    for states in corporates.states(begin, end):
        index = states.index
        company = index % POOL_SIZE
        host = joined("-", picked(pools.host, company), numbered("", index + 1, 1))
        domain = joined(".", host, pa.scalar("example"))
        employees = (10 * 5000 ** noise.uniform("corporate size", index)).astype(np.int64)
        revenue_each = 80_000 + noise.below(320_000, "corporate revenue", index)
        columns = _common(corporates, states) | {
            "company_id": numbered("B", index + 1, 6),
            "company_name": picked(pools.company, company),
            "industry": picked(_INDUSTRIES, noise.below(len(_INDUSTRIES), "corporate industry", index)),
            "website": joined(".", pa.scalar("https://www"), domain),
            "contact_email": joined("@", pa.scalar("contact"), domain),
            "employee_count": pa.array(employees),
            "annual_revenue": decimals(employees * revenue_each * 10, 10**9),
        }
        yield pa.RecordBatch.from_arrays([columns[n] for n in CORPORATES.schema.names], schema=CORPORATES.schema)


def _common(population: Population, states: States) -> "dict[str, pa.Array[Any]]":
    index, window = states.index, states.window
    country = population.value("country", index, window)
    street = population.noise.below(
        _CITIES_EACH, f"{population.kind} city", index, population.last_turn("country", index, window)
    )
    return {
        "country": picked(pa.array(COUNTRIES), country),
        "city": picked(_CITY, country * _CITIES_EACH + street),
        "tier": picked(pa.array(TIERS), population.value("tier", index, window)),
        "risk_tolerance": picked(pa.array(RISKS), population.value("risk_tolerance", index, window)),
        "created_at": instants(population.created_at(index)),
        "updated_at": instants(states.updated_at),
    }


def _pick(population: Population, purpose: str, index: Ints) -> Ints:
    return population.noise.below(POOL_SIZE, f"{population.kind} {purpose}", index)


def _employer(customers: Population, corporates: Population, index: Ints) -> "pa.Array[Any]":
    employed = customers.noise.uniform("employed", index) < EMPLOYED
    company = numbered("B", customers.noise.below(corporates.base, "employer", index) + 1, 6)
    column: pa.Array[Any] = pc.if_else(pa.array(employed), company, constant(None, len(index)))
    return column
