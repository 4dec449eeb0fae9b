"""What was parsed before is used again unless it is damaged; who does not answer is told from who refuses."""

import psycopg2
import pytest

from tickvault.warehouse.dbt import Dbt, is_away
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


@pytest.mark.parametrize("host", ["127.0.0.1", "/nowhere", "no-such-host.invalid"])
def test_a_postgres_that_is_not_there_is_away(host: str) -> None:
    with pytest.raises(psycopg2.OperationalError) as caught:
        psycopg2.connect(host=host, port=1, user="nobody", dbname="nothing")
    assert is_away(str(caught.value))


def test_what_a_person_has_to_mend_is_not_away() -> None:
    refused = "FATAL:  password authentication failed for user"
    assert not is_away(f'connection to server at "db" (10.0.0.1), port 5432 failed: {refused} "loader"')
    assert not is_away("[Errno 2] No such file or directory: 'profiles.yml'")
