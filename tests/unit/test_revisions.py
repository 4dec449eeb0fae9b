"""What a slot's revisions say together: a later one wins for what it speaks of, and hides nothing else."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tickvault.core import revisions
from tickvault.core.package import Outcome, OutcomeStatus, Package, Reject
from tickvault.core.slot import Slot

OK, FAILED, NOT_OFFERED = OutcomeStatus.OK, OutcomeStatus.FAILED, OutcomeStatus.NOT_OFFERED


def package(revision, rows=0, rejected=0, replays=(), **outcomes):
    told = tuple(Outcome(item.replace("_", " "), status) for item, status in outcomes.items())
    where, slot = f"r{revision}", Slot.parse("20261116T130000Z")
    now = datetime(2026, 11, 16, 13, tzinfo=UTC)
    return Package("s", "t", slot, revision, where, rows, (), "", None, told, None, rejected, "run", now, replays)


R0 = package(0, BTC=OK, ETH=FAILED, SOL=FAILED)


@pytest.mark.parametrize(
    ("later", "missing"),
    [
        ([], ("ETH", "SOL")),
        ([package(1, ETH=OK)], ("SOL",)),
        ([package(1, BTC=OK)], ("ETH", "SOL")),  # --force --symbols BTC
        ([package(1, replays=(R0.id,))], ("ETH", "SOL")),  # a replay that brought none of them
        ([package(1, replays=(R0.id,), ETH=OK)], ("SOL",)),
        ([package(1, ETH=OK, SOL=NOT_OFFERED)], ()),
        ([package(1, ETH=OK, SOL=OK), package(2, ETH=FAILED)], ("ETH",)),
    ],
)
def test_what_a_slot_lacks_is_folded_from_all_its_revisions(later, missing):
    assert revisions.missing([R0, *later]) == missing


def test_a_symbol_with_a_space_is_asked_for_again():
    """26-symbol-with-space.csv"""
    first = replace(R0, outcomes=(Outcome("BRK B", FAILED), Outcome("BRK", OK)))
    assert revisions.missing([first]) == ("BRK B",)
    later = replace(first, revision=1, outcomes=(Outcome("BRK", OK),))
    assert revisions.missing([first, later]) == ("BRK B",)
    news = (Outcome("BRK B", OK), Outcome("BRK B https://news.example/a b", FAILED))
    assert revisions.missing([replace(first, outcomes=news)]) == ("BRK B",)
    assert revisions.missing([replace(first, outcomes=news), replace(later, outcomes=(Outcome("BRK B", OK),))]) == ()


def test_an_article_that_its_coins_later_reading_does_not_name_is_not_waited_for():
    first = package(0, BTC=OK, **{"BTC_a://1": FAILED}, ETH=OK, **{"ETH_a://2": FAILED})
    assert revisions.missing([first]) == ("BTC", "ETH")
    assert revisions.missing([first, package(1, BTC=OK, **{"BTC_a://3": OK})]) == ("ETH",)
    assert revisions.missing([first, package(1, replays=(first.id,), **{"BTC_a://1": OK})]) == ("ETH",)


def share(*packages, rejects=()):
    return revisions.share(packages, lambda _: rejects)


def test_the_share_is_that_of_the_slot_until_a_revision_betters_it():
    first = package(0, rows=1, rejected=5, BTC=OK)
    assert share(first) == (5, 6)
    assert share(first).exceeds(0.8)
    assert not share(first).exceeds(0.9)
    assert not share(package(0)).exceeds(0)
    forced = package(1, rows=6, BTC=OK)
    assert share(first, forced) == (0, 6)
    replayed = package(1, rows=3, rejected=2, replays=(first.id,))
    assert share(first, replayed) == (2, 6)
    assert share(first, replayed, package(2, rows=6, BTC=OK)) == (0, 6)


def test_a_revision_that_completes_the_slot_answers_for_its_own_symbols_alone():
    first = package(0, rows=1, rejected=3, BTC=OK, ETH=FAILED)
    rejects = [Reject("BTC", "price", "bad", {}), *[Reject("ETH", "price", "bad", {})] * 2]
    assert share(first, package(1, rows=2, ETH=OK), rejects=rejects) == (1, 4)
    # a replay in between still counts, although the later revision says nothing of its symbols
    replayed = package(1, rows=1, rejected=2, replays=(first.id,))
    assert share(first, replayed, package(2, rows=2, ETH=OK), rejects=rejects[1:]) == (0, 4)
