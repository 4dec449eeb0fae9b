"""An interrupt ends the query at Trino too, also while it has not answered yet."""

import pytest

from tickvault.engines.trino import TrinoSession


class Cursor:
    """A client's cursor that is interrupted in one of its calls."""

    description = (("n",),)

    def __init__(self, interrupted):
        self.interrupted, self.cancelled = interrupted, 0

    def execute(self, _sql):
        if self.interrupted == "execute":
            raise KeyboardInterrupt

    def fetchmany(self, _limit):
        raise KeyboardInterrupt

    def cancel(self):
        from trino.exceptions import OperationalError

        self.cancelled += 1
        raise OperationalError("Cancel query failed; no running query")


@pytest.mark.parametrize("call", ["execute", "fetchmany"])
def test_an_interrupt_cancels_the_query(make_settings, monkeypatch, call):
    with TrinoSession(make_settings(trino_host="127.0.0.1")) as session:
        cursor = Cursor(call)
        monkeypatch.setattr(
            session, "_connection", type("C", (), {"cursor": lambda _: cursor, "close": lambda _: None})()
        )
        with pytest.raises(KeyboardInterrupt):
            session.ask("select 1", 1)
    assert cursor.cancelled == 1
