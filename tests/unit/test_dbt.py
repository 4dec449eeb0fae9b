"""What was parsed before is used again, and one that is damaged is not."""

import pytest

from tickvault.warehouse.dbt import Dbt
from tickvault.warehouse.target import target


@pytest.mark.parametrize("damaged", [b"", b"\x81", b"no msgpack at all", b"\x80" * 100])
def test_a_damaged_parse_file_is_parsed_anew_and_replaced(make_settings, caplog, damaged):
    dbt = Dbt(make_settings(), target("dev-trino"))
    kept = dbt.folder / "parsed" / f"{dbt._key('digest')}.msgpack"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(damaged)
    with dbt._parsed("digest") as manifest:
        assert manifest is None
        (dbt.folder / "partial_parse.msgpack").write_bytes(b"fresh")
    assert kept.read_bytes() == b"fresh"
    assert [p.name for p in kept.parent.iterdir()] == [kept.name]
    assert "is parsed anew" in caplog.text
