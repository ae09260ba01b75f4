# -*- test-case-name: tests.supervise.test_schedule -*-
"""Tests for L{sockhost.supervise.schedule}."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.supervise.schedule import local_zone, parse_schedule

NEW_YORK = ZoneInfo("America/New_York")


def times(schedule: str, start: datetime, count: int = 3) -> list[str]:
    """List the next times of a schedule."""
    parsed = parse_schedule(schedule)
    found = []
    moment: datetime | None = start
    for _ in range(count):
        assert moment is not None
        moment = parsed.next_after(moment)
        found.append("never" if moment is None else moment.strftime("%a %d %T %Z"))
        if moment is None:
            break
    return found


class BosTimesTests(SynchronousTestCase):
    """The times of the BOS server."""

    START = datetime(2026, 1, 1, 12, 0, tzinfo=NEW_YORK)  # a Thursday

    def test_daily(self) -> None:
        """A time alone comes every day."""
        self.assertEqual(
            times("4:00", self.START, 2), ["Fri 02 04:00:00 EST", "Sat 03 04:00:00 EST"]
        )

    def test_afternoon(self) -> None:
        """Noise words are skipped, and pm is understood; today still counts."""
        self.assertEqual(times("at 4:00 pm", self.START, 1), ["Thu 01 16:00:00 EST"])

    def test_weekly(self) -> None:
        """A time with a day comes once a week."""
        self.assertEqual(
            times("every mon 04:00", self.START, 2),
            ["Mon 05 04:00:00 EST", "Mon 12 04:00:00 EST"],
        )

    def test_midnight(self) -> None:
        """Twelve am is midnight."""
        self.assertEqual(
            times("sunday 12:00 am", self.START, 1), ["Sun 04 00:00:00 EST"]
        )

    def test_seconds(self) -> None:
        """Seconds may be given, and the day may come last."""
        self.assertEqual(
            times("12:30:15 am wed", self.START, 1), ["Wed 07 00:30:15 EST"]
        )

    def test_case(self) -> None:
        """Upper and lower case are the same."""
        self.assertEqual(parse_schedule("Sun 4:00 PM"), parse_schedule("sun 4:00 pm"))

    def test_thursday_has_a_long_short_form(self) -> None:
        """Thursday may be written as BOS writes it."""
        self.assertEqual(parse_schedule("thur 4:00"), parse_schedule("thu 4:00"))

    def test_never(self) -> None:
        """Never has no time."""
        self.assertEqual(times("never", self.START), ["never"])

    def test_strictly_later(self) -> None:
        """The moment itself is not later than itself."""
        four = datetime(2026, 1, 1, 16, 0, tzinfo=NEW_YORK)
        self.assertEqual(times("4:00 pm", four, 1), ["Fri 02 16:00:00 EST"])

    def test_refused(self) -> None:
        """What is no time is refused with a reason."""
        for text, reason in (
            ("", "needs a time of day"),
            ("at", "needs a time of day"),
            ("mon", "needs a time of day"),
            ("mon tue 4:00", "second day of the week, 'tue'"),
            ("4:00 5:00", "second time of day, '5:00'"),
            ("4:5:6:7", "'4:5:6:7' is not a time of day"),
            ("25:00", "'25:00' is not a time of day"),
            ("4:99", "'4:99' is not a time of day"),
            ("4:00am", "'4:00am' is not a time of day"),
            ("13 pm", "13 is no hour with am or pm"),
            ("0 am", "0 is no hour with am or pm"),
            ("pm 4", "'pm' must follow"),
            ("4 am pm", "'pm' must follow"),
            ("now", '"now" is no schedule'),
            ("now 4:00", '"now" is no schedule'),
            ("never 4:00", "'never' is not understood"),
            ("saturday night", "'night' is not understood"),
            ("blah", "'blah' is not understood"),
        ):
            with self.subTest(text):
                error = self.assertRaises(ValueError, parse_schedule, text)
                self.assertIn(reason, str(error))

    @given(st.text(alphabet="0123456789: adehmnoprstuvwy*/,-.", max_size=30))
    def test_nothing_else_is_raised(self, text: str) -> None:
        """Any text is a schedule or a ValueError."""
        try:
            parsed = parse_schedule(text)
        except ValueError:
            return
        found = parsed.next_after(self.START)
        self.assertTrue(found is None or found > self.START)


class ClockChangeTests(SynchronousTestCase):
    """Days on which the clocks are changed have each time once."""

    SPRING = datetime(2026, 3, 8, 0, 0, tzinfo=NEW_YORK)
    AUTUMN = datetime(2026, 11, 1, 0, 0, tzinfo=NEW_YORK)

    def test_gap(self) -> None:
        """A time that is left out comes at the first moment after the gap."""
        for schedule in ("2:30", "30 2 * * *"):
            self.assertEqual(
                times(schedule, self.SPRING, 2),
                ["Sun 08 03:00:00 EDT", "Mon 09 02:30:00 EDT"],
            )

    def test_fold(self) -> None:
        """A time that comes twice counts the first time."""
        for schedule in ("1:30", "30 1 * * *"):
            self.assertEqual(
                times(schedule, self.AUTUMN, 2),
                ["Sun 01 01:30:00 EDT", "Mon 02 01:30:00 EST"],
            )

    def test_end_of_fold(self) -> None:
        """Two o'clock on the day of the fold comes once."""
        self.assertEqual(
            times("2:00", self.AUTUMN, 2),
            ["Sun 01 02:00:00 EST", "Mon 02 02:00:00 EST"],
        )

    def test_gap_at_midnight(self) -> None:
        """A gap at midnight does not cost the day its run."""
        beirut = datetime(2026, 3, 28, 12, 0, tzinfo=ZoneInfo("Asia/Beirut"))
        self.assertEqual(
            times("0:00", beirut, 2), ["Sun 29 01:00:00 EEST", "Mon 30 00:00:00 EEST"]
        )

    @given(
        st.integers(0, 23),
        st.integers(0, 59),
        st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]),
    )
    def test_once_a_day_for_a_year(self, hour: int, minute: int, zone: str) -> None:
        """Every day of a year has a time of day exactly once."""
        schedule = parse_schedule(f"{hour}:{minute}")
        start = datetime(2026, 1, 1, 0, 0, tzinfo=ZoneInfo(zone)) - timedelta(seconds=1)
        days = []
        moment = start
        for _ in range(365):
            found = schedule.next_after(moment)
            assert found is not None
            days.append(found.date())
            moment = found
        first = days[0]
        self.assertEqual(days, [first + timedelta(days=i) for i in range(365)])


class CrontabTests(SynchronousTestCase):
    """The five fields of crontab(5)."""

    START = datetime(2026, 1, 1, 12, 0, tzinfo=NEW_YORK)

    def test_quarters(self) -> None:
        """Steps and ranges are understood."""
        self.assertEqual(
            times("*/15 8-18 * * mon-fri", self.START, 2),
            ["Thu 01 12:15:00 EST", "Thu 01 12:30:00 EST"],
        )

    def test_weekday_alone(self) -> None:
        """A day of the week in the last field is no BOS time."""
        self.assertEqual(times("0 4 * * sun", self.START, 1), ["Sun 04 04:00:00 EST"])

    def test_refused(self) -> None:
        """A field that is out of range is named."""
        for text, reason in (
            ("60 * * * *", "Bad minute"),
            ("0 0 30 2 *", "Bad day-of-month"),
            ("* * * * * *", "is not understood"),
        ):
            error = self.assertRaises(ValueError, parse_schedule, text)
            self.assertIn(reason, str(error))


class LocalZoneTests(SynchronousTestCase):
    """The time zone of the machine."""

    def test_environment(self) -> None:
        """C{TZ} names it."""
        import os

        self.patch(os, "environ", {"TZ": ":America/New_York"})
        self.assertEqual(str(local_zone()), "America/New_York")

    def test_nonsense(self) -> None:
        """A C{TZ} that is none is UTC, as in the C library."""
        import os

        self.patch(os, "environ", {"TZ": "Nowhere/Land"})
        self.assertEqual(str(local_zone()), "UTC")
