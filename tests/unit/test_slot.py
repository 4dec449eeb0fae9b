"""A run is named by its scheduled time, in zones without and with daylight saving."""

import itertools
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


def test_the_hour_that_comes_twice_gives_two_slots_and_the_one_left_out_none():
    autumn = list(BERLIN.between(utc("2026-10-24T00:00:00"), utc("2026-10-27T00:00:00")))
    assert [s.id for s in autumn] == ["20261024T003000Z", "20261025T003000Z", "20261025T013000Z", "20261026T013000Z"]
    spring = list(BERLIN.between(utc("2027-03-27T00:00:00"), utc("2027-03-30T00:00:00")))  # 28 March has no 02:30
    assert [s.id for s in spring] == ["20270327T013000Z", "20270329T003000Z"]


@pytest.mark.parametrize("cron", ["30 2 * * *", "*/15 * * * *", "0 * * * *", "5,50 2 25 10 *"])
@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "UTC", "Asia/Ho_Chi_Minh"]
)
@pytest.mark.parametrize("day", ["2026-10-25", "2026-04-05", "2026-11-01", "2027-03-28", "2026-10-04"])
def test_every_slot_is_the_last_one_at_its_time_and_a_minute_later(cron, zone, day):
    schedule, middle = Schedule(cron, zone), utc(f"{day}T00:00:00")
    slots = list(schedule.between(middle - timedelta(hours=30), middle + timedelta(hours=30)))
    assert slots == sorted(set(slots))
    for slot in slots:
        assert schedule.yields(slot)
        assert schedule.last(slot.time + timedelta(seconds=59)) == slot
    for before, after in itertools.pairwise(slots):
        assert schedule.last(after.time - timedelta(seconds=1)) == before
    if cron == "*/15 * * * *":  # whatever the clock does, a quarter of an hour is one
        assert {after.time - before.time for before, after in itertools.pairwise(slots)} == {timedelta(minutes=15)}


def test_each_of_the_two_jobs_of_that_hour_has_its_own_slot():
    for hour, minute in ((0, 30), (1, 30)):
        slot = Slot(datetime(2026, 10, 25, hour, minute, tzinfo=UTC))
        assert resolve(None, f"extract-binance-{_minutes(slot)}", BERLIN, utc("2026-10-25T05:00:00"), None) == slot


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20x13:00:00Z", "2026-11-20713:00:00Z", "2026-W47-5", "20261120", "2026-11-20T25:00:00Z", "", "T",
        "2026-02-30", "20261120T130000", "２０２６-11-20", "2026-11-20T13:00:00+99:00", "2026-11-20T13:00:00Z\n\n x",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    ],
)  # fmt: skip
def test_what_is_no_slot_is_refused(text):
    with pytest.raises(ConfigError, match="is not a slot"):
        Slot.parse(text)


@pytest.mark.parametrize("text", ["1066-10-14", "1999-12-31T23:59:59Z", "2100-01-01", "9026-11-20T13:00:00Z"])
def test_a_year_that_nobody_means_is_refused(text):
    with pytest.raises(ConfigError, match=r"lies outside 2000 to 2099"):
        Slot.parse(text)


def test_a_slot_ahead_of_now_is_refused():
    now = utc("2026-11-20T13:00:00")
    assert Slot.parse("2026-11-21T13:00:00Z").due(now).id == "20261121T130000Z"
    with pytest.raises(ConfigError, match="20261122T130000Z lies ahead of now"):
        Slot.parse("2026-11-22T13:00:00Z").due(now)


@pytest.mark.parametrize("text", ["2026-11-20T13:00:00Z", "2026-11-20 13:00", "2026-11-20T20:00:00+0700"])
def test_iso_8601_names_a_slot(text):
    assert Slot.parse(text).id == "20261120T130000Z"


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
