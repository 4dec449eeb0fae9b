"""How a stream's columns meet those of a table that exists: one answer for every sink."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from tickvault.core.errors import SchemaMismatchError
from tickvault.core.stream import PRICE, ContractMode, Stream

_DIGITS = 38
"""How many a decimal has at most, on every engine."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What a load does about the differences.

    Args:
        stream: What is loaded: the stream without the columns that are left out.
        added: Columns to add to the table.
        widened: Columns of the table to give this wider type.
        left_out: A sentence for each column that is not loaded.
        known: Names of all columns the rows may have, those left out among them.
    """

    stream: Stream
    added: "tuple[pa.Field[Any], ...]" = ()
    widened: "tuple[pa.Field[Any], ...]" = ()
    left_out: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()


def fit(stream: Stream, found: Mapping[str, pa.DataType | str], where: str) -> Fit:
    """Compare a stream with the columns of its table, by the stream's contract.

    A column that only the table has is left alone: rows that come now have null there.

    Args:
        stream: What is to be loaded.
        found: The table's columns by name: their type, or the engine's own word for one that no stream may have.
        where: Which engine, for messages.

    Raises:
        SchemaMismatchError: The contract does not allow a difference, or a column that must have a value is at stake.
    """
    added, widened, left_out = [], [], {}
    for field in stream.schema:
        has = found.get(field.name)
        if has is not None and holds(has, field.type):
            continue
        wider = None if has is None else widest(has, field.type)
        evolves = stream.contract is ContractMode.EVOLVE
        if evolves and has is None and field.nullable:
            added.append(field)
        elif evolves and wider is not None:
            widened.append(field.with_type(wider))
        elif stream.contract is ContractMode.QUARANTINE and _dispensable(stream, field):
            left_out[field.name] = f"{field.name} ({field.type}, the table has {has or 'no such column'})"
        else:
            raise _mismatch(stream, field, has, where)
    kept = pa.schema([f for f in stream.schema if f.name not in left_out])
    loaded = replace(stream, schema=kept) if left_out else stream
    known = frozenset(stream.landed_schema.names)
    return Fit(loaded, tuple(added), tuple(widened), tuple(left_out.values()), known)


def holds(table: pa.DataType | str, type_: pa.DataType) -> bool:
    """Tell whether a column of the table's type keeps every value of another."""
    return table == type_ or (not isinstance(table, str) and widest(table, type_) == table)


def widest(table: pa.DataType | str, type_: pa.DataType) -> pa.DataType | None:
    """Return the type that keeps the values of both, as every engine can change a column to; None where there is none.

    Integers grow to 64 bits, decimals by digits on both sides of the point. Where 38 are not enough for both, those
    before it make room for a price's eighteen after it: an engine refuses to change a table with a value too large.
    """
    if isinstance(table, str):
        return None
    if pa.types.is_integer(table) and pa.types.is_integer(type_):
        return max(table, type_, key=lambda t: t.bit_width)
    if pa.types.is_decimal128(table) and pa.types.is_decimal128(type_):
        after = max(table.scale, type_.scale)
        digits = max(table.precision - table.scale, type_.precision - type_.scale) + after
        return pa.decimal128(min(digits, _DIGITS), after) if digits <= _DIGITS or after <= PRICE.scale else None
    return None


def differences(before: Stream, now: Stream) -> list[str]:
    """Say in words how a stream changed: its columns, its key, its cursor."""
    old, new = ({f.name: f for f in stream.schema} for stream in (before, now))
    differences = [f"column {name} added ({new[name].type})" for name in new if name not in old]
    differences += [f"column {name} dropped" for name in old if name not in new]
    for name in new:
        if name in old and old[name].type != new[name].type:
            differences.append(f"column {name}: {old[name].type} became {new[name].type}")
        elif name in old and old[name].nullable != new[name].nullable:
            differences.append(f"column {name} {'may be null' if new[name].nullable else 'must have a value'} now")
    if before.primary_key != now.primary_key:
        differences.append(f"the key ({', '.join(before.primary_key)}) became ({', '.join(now.primary_key)})")
    if before.cursor_field != now.cursor_field:
        differences.append(f"the cursor {before.cursor_field} became {now.cursor_field}")
    if not differences and before.schema.names != now.schema.names:
        differences.append("the order of columns changed")
    return differences


def _dispensable(stream: Stream, field: "pa.Field[Any]") -> bool:
    return field.nullable and field.name not in (*stream.primary_key, stream.cursor_field)


def _mismatch(stream: Stream, field: "pa.Field[Any]", has: pa.DataType | str | None, where: str) -> SchemaMismatchError:
    expected = f"{field.type}{'' if field.nullable else ' that must have a value'}"
    found = f"no such column in {where}; add it by hand" if has is None else f"{has} in {where}"
    frozen = f" (the stream's contract is '{stream.contract}')" if stream.contract is not ContractMode.EVOLVE else ""
    return SchemaMismatchError(stream.name, field.name, expected, f"{found}{frozen}")
