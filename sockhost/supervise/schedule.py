# -*- test-case-name: tests.supervise.test_schedule -*-
"""
The times of a cron unit: when it is next, after a given time.  No clock here.

Two grammars are understood:

    - the five fields of crontab(5): C{"*/15 8-18 * * mon-fri"};
    - times as the BOS server has them: C{"4:00"}, C{"at 4:00 pm"},
      C{"every mon 04:00"}, C{"sunday 12:00 am"}, C{"never"}.

A time of day comes once on every day that it is meant for, also on those on
which the clocks are changed: if it is left out, at the first moment after the
gap; if it comes twice, at the first of the two.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import define, frozen
from cronsim import CronSim, CronSimError

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HALVES = {"am": 0, "a.m.": 0, "pm": 12, "p.m.": 12}
_NOISE = ("at", "every")
_TIME = re.compile(r"([0-9]{1,2})(?::([0-9]{1,2})(?::([0-9]{1,2}))?)?")


class Schedule(Protocol):
    """The times of a cron unit."""

    def next_after(self, moment: datetime) -> datetime | None:
        """
        Find the first time later than C{moment}.

        @param moment: with a time zone, which is that of the schedule.
        @return: in the same zone; C{None} if there is none.
        """


@frozen
class Never:
    """No time at all."""

    def next_after(self, moment: datetime) -> datetime | None:
        """There is none."""
        return None


@frozen
class Daily:
    """
    A time of day, on every day or on one day of the week.

    @ivar weekday: 0 for Monday, or C{None} for every day.
    """

    at: time
    weekday: int | None = None

    def next_after(self, moment: datetime) -> datetime | None:
        """Find the next one."""
        zone = moment.tzinfo or UTC
        # A gap can push the time of one day into the next, so begin the day
        # before; eight days further is each day of the week.
        for offset in range(-1, 9):
            day = moment.date() + timedelta(days=offset)
            if self.weekday in (None, day.weekday()):
                found = _on(day, self.at, zone)
                if found.timestamp() > moment.timestamp():
                    return found
        raise AssertionError("a week has every day")


@frozen
class Crontab:
    """The five fields of crontab(5)."""

    fields: str

    def next_after(self, moment: datetime) -> datetime | None:
        """Find the next one."""
        return next(CronSim(self.fields, moment), None)


def parse_schedule(text: str) -> Schedule:
    """
    Parse a schedule.

    @raise ValueError: it is none; the text says why.
    """
    words = text.lower().split()
    if len(words) == 5 and not any(map(_is_bos_word, words)):
        return _parse_crontab(" ".join(words))
    return _Words().parse(words)


def local_zone() -> tzinfo:
    """
    Find the time zone of this machine: C{TZ}, else C{/etc/localtime}, else UTC.
    """
    name = os.environ.get("TZ", "").removeprefix(":")
    try:
        if name:
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError, ZoneInfoNotFoundError):
        return UTC


def _is_bos_word(word: str) -> bool:
    return ":" in word or word in _NOISE or word in _HALVES or word in ("now", "never")


def _parse_crontab(fields: str) -> Schedule:
    try:
        CronSim(fields, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"not a schedule: {error} in {fields!r}") from None
    return Crontab(fields)


@define
class _Words:
    """The parts of a BOS time, as far as they were found."""

    clock: tuple[int, int, int] | None = None
    half: int | None = None
    weekday: int | None = None

    def parse(self, words: Sequence[str]) -> Schedule:
        if list(words) == ["never"]:
            return Never()
        for word in words:
            self._take(word)
        if self.clock is None:
            raise ValueError('a schedule needs a time of day such as "4:00 pm"')
        hour, minute, second = self.clock
        return Daily(time(self._hour(hour), minute, second), self.weekday)

    def _take(self, word: str) -> None:
        if word in _NOISE:
            return
        if word == "now":
            raise ValueError('"now" is no schedule: use a process with oneshot = true')
        if word in _HALVES:
            self._take_half(word)
        elif word[0].isdigit():
            self._take_clock(word)
        else:
            self._take_day(word)

    def _take_half(self, word: str) -> None:
        if self.clock is None or self.half is not None:
            raise ValueError(f"{word!r} must follow the time of day, once")
        self.half = _HALVES[word]

    def _take_clock(self, word: str) -> None:
        if self.clock is not None:
            raise ValueError(f"a second time of day, {word!r}")
        match = _TIME.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is not a time of day, H, H:M or H:M:S")
        hour, minute, second = (int(part or 0) for part in match.groups())
        if hour > 23 or minute > 59 or second > 59:
            raise ValueError(f"{word!r} is not a time of day")
        self.clock = hour, minute, second

    def _take_day(self, word: str) -> None:
        for number, name in enumerate(_DAYS):
            if word in (name, name[:3]) or (word == "thur" and name == "thursday"):
                if self.weekday is not None:
                    raise ValueError(f"a second day of the week, {word!r}")
                self.weekday = number
                return
        raise ValueError(f"{word!r} is not understood in a schedule")

    def _hour(self, hour: int) -> int:
        if self.half is None:
            return hour
        if not 1 <= hour <= 12:
            raise ValueError(f"{hour} is no hour with am or pm")
        return hour % 12 + self.half


def _on(day: date, at: time, zone: tzinfo) -> datetime:
    """Find the moment at which a day reaches a time."""
    moment = datetime.combine(day, at, zone)
    first, second = (moment.replace(fold=fold).utcoffset() for fold in (0, 1))
    if first is None or second is None or first >= second:
        return moment  # the usual case, or the first of two
    return _after_gap(moment)


def _after_gap(moment: datetime) -> datetime:
    """Find the first moment after the gap that a local time falls into."""
    zone = moment.tzinfo
    before = int(moment.replace(fold=1).timestamp())
    after = int(moment.replace(fold=0).timestamp())
    offset = datetime.fromtimestamp(after, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return datetime.fromtimestamp(after, zone)
