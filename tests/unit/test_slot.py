"""A run is named by its scheduled time, in zones without and with daylight saving."""

from datetime import UTC, datetime, timedelta

import pytest

from tickvault.core.errors import ConfigError
from tickvault.core.slot import Schedule, Slot, resolve

SAIGON = Schedule("0 20 * * *", "Asia/Ho_Chi_Minh")
BERLIN = Schedule("30 2 * * *", "Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_last_scheduled_time_is_utc_and_a_late_start_keeps_it():
    assert SAIGON.last(utc("2026-11-20T13:00:00")).id == "20261120T130000Z"
    assert SAIGON.last(utc("2026-11-20T12:59:59")).id == "20261119T130000Z"
    assert SAIGON.last(utc("2026-11-21T12:00:00")).id == "20261120T130000Z"


def test_daylight_saving_moves_the_slot_not_the_wall_clock():
    winter, summer = utc("2026-01-15T12:00:00"), utc("2026-07-15T12:00:00")
    assert BERLIN.last(winter).id == "20260115T013000Z"
    assert BERLIN.last(summer).id == "20260715T003000Z"


def test_the_hour_that_does_not_exist_and_the_one_that_comes_twice_give_one_slot_each_day():
    spring = list(BERLIN.between(utc("2026-03-28T00:00:00"), utc("2026-03-31T00:00:00")))
    autumn = list(BERLIN.between(utc("2026-10-24T00:00:00"), utc("2026-10-27T00:00:00")))
    assert len(spring) == len({s.time.date() for s in spring}) == 3
    assert len(autumn) == len({s.time.date() for s in autumn}) == 3


def test_between_includes_both_ends_and_is_sorted():
    slots = list(SAIGON.between(utc("2026-11-16T13:00:00"), utc("2026-11-20T13:00:00")))
    assert [s.id for s in slots] == [f"202611{d}T130000Z" for d in range(16, 21)]


def _minutes(slot: Slot) -> int:
    return int(slot.time.timestamp() // 60)


@pytest.mark.parametrize("schedule", [SAIGON, BERLIN])
def test_the_cronjobs_suffix_names_the_slot_even_when_the_pod_starts_late(schedule):
    now = utc("2026-11-21T10:00:00")
    slot = schedule.last(now)
    late = now + timedelta(hours=20)
    assert resolve(None, f"extract-binance-{_minutes(slot)}", schedule, late, None) == slot


@pytest.mark.parametrize("name", ["extract-x-20261120", "extract-x-29377741", "manual", None, "extract-x-29000000"])
def test_a_name_made_by_hand_does_not_name_a_slot(name):
    now = utc("2026-11-21T10:00:00")
    assert resolve(None, name, SAIGON, now, None) == SAIGON.last(now)


def test_explicit_wins_then_what_this_job_ran_before():
    now, before = utc("2026-11-21T10:00:00"), Slot.parse("20261101T130000Z")
    assert resolve("2026-11-05T13:00:00Z", "x", SAIGON, now, before).id == "20261105T130000Z"
    assert resolve(None, "x", SAIGON, now, before) == before


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Slot.parse("yesterday"), "20261120T130000Z"),
        (lambda: Schedule("0 25 * * *"), "cron expression"),
        (lambda: Schedule("0 20 * * *", "Asia/Saigonn"), "time zone"),
    ],
)
def test_bad_input_is_a_sentence(make, said):
    with pytest.raises(ConfigError, match=said):
        make()


def test_offsets_are_converted():
    assert Slot.parse("2026-11-20T20:00:00+07:00").id == "20261120T130000Z"
