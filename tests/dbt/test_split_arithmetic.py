"""Amounts over a split: the same digits on every engine, and the right ones, told by fractions."""

import random
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from plan import decimal
from warehouse import Dbt, Postgres, Snowflake, Trino, Warehouse

from tickvault.local.snowflake.process import Emulator

RATIOS = [
    Fraction(n, m) for n, m in ((2, 1), (3, 2), (20, 1), (7, 5), (4, 3), (1, 3), (3, 4), (1, 20), (1, 25_000), (3, 7))
]
RESCALED = (
    "select n, {{ rescaled('value', 'factor', 'price') }} from (select {{ as_type('amount', 'price') }} as value,"
)
RESCALED += " {{ as_type('told', 'price') }} as factor, n from (ROWS) told) typed order by n"
DIVIDED = "select n, {{ quotient('one', 'other') }}, {{ exact_factor('share_factor') }} from ("
DIVIDED += "select {{ as_type('amount', 'price') }} as one, {{ as_type('told', 'price') }} as other, n,"
DIVIDED += " {{ as_type('shares', 'float') }} as share_factor from (ROWS) told) typed order by n"


def _answer(warehouse: Warehouse, folder: Path, template: str, rows: Sequence[dict[str, str]]) -> list[list[Decimal]]:
    columns = [
        ", ".join(f"{value} as {name}" for name, value in {"n": str(n), **row}.items()) for n, row in enumerate(rows)
    ]
    inline = template.replace("ROWS", " union all ".join(f"select {one}" for one in columns))
    done = Dbt(warehouse, folder).run("compile", "--no-introspect", "--inline", inline)
    answer = warehouse.query(done.result.results[0].node.compiled_code)
    return [[Decimal(str(value)) for value in row[1:]] for row in answer]


def _amounts() -> list[Decimal]:
    rng = random.Random(11)
    told = [Decimal("1234567.8912345678"), Decimal("187.3800048828125"), Decimal("0.00000000005"), Decimal(99999999999)]
    return told + [Decimal(rng.randrange(10**16, 10**18)).scaleb(-10) for _ in range(20)]


def check_rescaled(warehouse: Warehouse, folder: Path) -> None:
    asked = [(amount, decimal(ratio, 18)) for amount in _amounts() for ratio in RATIOS]
    found = _answer(warehouse, folder, RESCALED, [{"amount": _cast(one), "told": _cast(told)} for one, told in asked])
    assert len(found) == len(asked) == 240
    for (amount, told), (value,) in zip(asked, found, strict=True):
        right = Fraction(amount) * Fraction(told)
        slack = Fraction(6, 10**13) if told != round(told, 12) else 0  # of the rest, a third's last six digits are cut
        assert abs(Fraction(value) - right) <= Fraction(1, 2 * 10**10) + slack, (amount, told, value)
        half_up = Fraction(int(right * 10**10 + Fraction(1, 2)), 10**10)
        assert slack or Fraction(value) == half_up, (amount, told, value)


def check_quotients(warehouse: Warehouse, folder: Path) -> None:
    pairs = [(one, other) for one in RATIOS for other in RATIOS]
    found = _answer(warehouse, folder, DIVIDED, [
        {"amount": _cast(decimal(one, 18)), "told": _cast(decimal(other, 18)), "shares": _as_shares(one)}
        for one, other in pairs
    ])  # fmt: skip
    for (one, other), (quotient, factor) in zip(pairs, found, strict=True):
        right = Fraction(decimal(one, 18)) / Fraction(decimal(other, 18))
        assert abs(Fraction(quotient) - right) <= Fraction(6, 10**19) + right / 10**24, (one, other, quotient)
        nine = Fraction(decimal(one, 9)) if one >= 1 else 1 / Fraction(decimal(1 / one, 9))
        assert factor == decimal(nine, 18), (one, factor)


def check(warehouse: Warehouse, folder: Path) -> None:
    check_rescaled(warehouse, folder)
    check_quotients(warehouse, folder)
    check_huge(warehouse, folder)


def check_huge(warehouse: Warehouse, folder: Path) -> None:
    """A source's slip must not stop a build: what a column can hold can be brought over a split."""
    amounts = [Decimal("1e12"), Decimal("9999999999999999.4999999999"), Decimal("1e26")]
    asked = [(amount, told) for amount in amounts for told in (Decimal(4), Decimal("1.4"), Decimal("0.05"))]
    rows = [{"amount": f"cast('{amount:f}' as decimal(38,10))", "told": _cast(told)} for amount, told in asked]
    found = _answer(warehouse, folder, RESCALED.replace("'price') }} as value", "'number') }} as value").replace(
        "'factor', 'price'", "'factor', 'number'"), rows)  # fmt: skip
    for (amount, told), (value,) in zip(asked, found, strict=True):
        assert Fraction(value) == Fraction(round(amount, 1)) * Fraction(told), (amount, told, value)


def _cast(value: Decimal) -> str:
    return f"cast('{value}' as decimal(38,18))"


def _as_shares(ratio: Fraction) -> str:
    """Return a factor as fct_asset_splits makes it: nine digits, or one through nine digits."""
    return repr(float(decimal(ratio, 9)) if ratio >= 1 else 1 / float(decimal(1 / ratio, 9)))


def test_on_postgres(postgres_uri: str, tmp_path: Path) -> None:
    check(Postgres.fresh(postgres_uri, "dbt_splits"), tmp_path)


def test_on_snowflake(emulator: Emulator, tmp_path: Path) -> None:
    warehouse = Snowflake(emulator.environment(), "DBT_SPLITS")
    warehouse.load({})
    check(warehouse, tmp_path)


@pytest.mark.engine("trino")
def test_on_trino(trino: Trino, tmp_path: Path) -> None:
    check(trino, tmp_path)
