# -*- test-case-name: tests.sockets.test_patience -*-
"""
The time-outs of the clients of a socket.

One timer for all of them compares now and then what each session has counted
with what it had counted before.  So a frame costs no timer and no look at the
clock, and a session that is not watched costs nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sockhost.interfaces import ICodec
from sockhost.sockets.around import Carrier, Phase
from sockhost.sockets.ends import FRAME_TIMEOUT, IDLE_TIMEOUT, STALL_TIMEOUT
from sockhost.sockets.limits import Limits

LOOKS = 4
"""How often a client is looked at within the shortest time-out."""

SHORTEST, LONGEST = 0.01, 15.0
"""Seconds between two looks, at least and at most."""

# A timer may be early by the rounding of clocks.
_EARLY = 0.001


class Watched(Protocol):
    """What is looked at of a session."""

    carrier: Carrier
    codec: ICodec
    phase: Phase
    frames_in: int
    bytes_in: int
    bytes_out: int

    @property
    def reading(self) -> bool: ...

    @property
    def busy(self) -> bool: ...

    def end(self, reason: str, why: str | None) -> None:
        """Close the connection once what is queued is sent."""

    def abort(self, reason: str, why: str | None) -> None:
        """Close the connection now."""


@define(eq=False)
class _Seen:
    """What a session had counted, and since when it has not counted on."""

    frames: int
    moved: int
    taken: int
    frame_since: float
    moved_since: float
    taken_since: float


@define(eq=False)
class Patience:
    """Drops clients that do nothing for longer than the limits allow."""

    _reactor: IReactorTime
    _limits: Callable[[], Limits]
    _sessions: Callable[[], Collection[Watched]]
    _seen: dict[Watched, _Seen] = field(factory=dict, init=False)
    # Seconds between two looks, 0 for none.
    _interval: float = field(default=0.0, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._interval = _interval(self._limits())

    def reconsider(self) -> None:
        """
        There are other limits: look at the sessions in time for them.
        """
        self._interval = _interval(self._limits())
        self._stop()
        self._wait()

    def watch(self) -> None:
        """There is a session more."""
        if self._interval and self._timer is None:
            self._wait()

    def forget(self, session: Watched) -> None:
        """A session has ended."""
        self._seen.pop(session, None)
        if not self._sessions():
            self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        if self._interval and self._sessions():
            self._timer = self._reactor.callLater(self._interval, self._look)
        else:
            self._seen.clear()

    def _look(self) -> None:
        self._timer = None
        now, limits = self._reactor.seconds(), self._limits()
        for session in list(self._sessions()):
            if session.phase in (Phase.OPEN, Phase.CONNECTING):
                self._look_at(session, now, limits)
        if self._timer is None:
            self._wait()

    def _look_at(self, session: Watched, now: float, limits: Limits) -> None:
        seen = self._seen.get(session)
        if seen is None:
            seen = self._seen[session] = _Seen(-1, -1, -1, now, now, now)
        self._note(session, seen, now)
        if _over(limits.stall_timeout, seen.taken_since, now):
            session.abort(
                f"the client has taken nothing for {limits.stall_timeout:g} s",
                STALL_TIMEOUT,
            )
        elif session.phase is not Phase.OPEN:
            # The handler may take its time, but not wait for what is not taken.
            return
        elif _over(limits.frame_timeout, seen.frame_since, now):
            session.end(
                f"a frame has not come whole in {limits.frame_timeout:g} s",
                FRAME_TIMEOUT,
            )
        elif _over(limits.idle_timeout, seen.moved_since, now):
            session.end(
                f"the client was idle for {limits.idle_timeout:g} s", IDLE_TIMEOUT
            )

    def _note(self, session: Watched, seen: _Seen, now: float) -> None:
        frames = session.frames_in
        # What we do not read is not the client's delay.
        if frames != seen.frames or not session.codec.buffered or not session.reading:
            seen.frames, seen.frame_since = frames, now
        moved = session.bytes_in + session.bytes_out
        if moved != seen.moved or session.busy or session.phase is not Phase.OPEN:
            seen.moved, seen.moved_since = moved, now
        taken = session.carrier.taken
        if taken != seen.taken or not session.carrier.queued:
            seen.taken, seen.taken_since = taken, now


def _over(timeout: float, since: float, now: float) -> bool:
    return 0 < timeout <= now - since + _EARLY


def _interval(limits: Limits) -> float:
    timeouts = (limits.frame_timeout, limits.idle_timeout, limits.stall_timeout)
    shortest = min((each for each in timeouts if each), default=0.0)
    if not shortest:
        return 0.0
    return min(max(shortest / LOOKS, SHORTEST), LONGEST)
