# -*- test-case-name: tests.sockets.test_session -*-
"""
What a socket allows its clients, and what it counts.
"""

from __future__ import annotations

from typing import Literal

from attrs import define, field, frozen

from sockhost.sockets.wire import MAX_FRAME

REQUEST = 400
"""Bytes that a request takes while it is not answered, beside its payload."""

HalfClose = Literal["drop", "finish"]
Transport = Literal["hub", "protocol"]


@frozen(kw_only=True)
class Limits:
    """
    What one socket allows.

    @ivar max_frame: the greatest length of a frame, its header included.
    @ivar high_water: a client that lets more bytes than this queue towards it
        is not read from until it has taken most of them.
    @ivar max_in_flight: a client with this many unanswered requests is not
        read from until some are answered.
    @ivar max_in_flight_bytes: nor is one whose unanswered requests have this
        many bytes together.
    @ivar max_buffered: the most that all clients of the socket together may
        make this process hold; 0 for no limit.  Counted are beginnings of
        frames, payloads of requests that are not answered, L{REQUEST} for each
        such request but the first of each client, and answers that are not
        taken.  Each may hold a little that is not counted, and less the more
        clients there are.
    @ivar max_clients: further clients are turned away; 0 for no limit.
    @ivar max_clients_per_uid: so are further clients of a user with so many.
    @ivar frame_timeout: seconds that a frame may take to come whole; 0 for no
        limit, here and in the next two.
    @ivar idle_timeout: seconds that a client may stay without anything coming
        from it, going to it or being worked on for it.
    @ivar stall_timeout: seconds that a client may take nothing of what is
        queued towards it.
    @ivar half_close: what becomes of a client that says it sends no more:
        C{"drop"} ends it, C{"finish"} answers its requests before.
    """

    max_frame: int = MAX_FRAME
    high_water: int = 256 * 1024
    max_in_flight: int = 1024
    max_in_flight_bytes: int = 16 * 1024 * 1024
    max_buffered: int = 256 * 1024 * 1024
    max_clients: int = 0
    max_clients_per_uid: int = 0
    frame_timeout: float = 0.0
    idle_timeout: float = 0.0
    stall_timeout: float = 0.0
    half_close: HalfClose = "drop"

    @property
    def low_water(self) -> int:
        """Reading goes on when no more than this is queued."""
        return self.high_water // 4

    @property
    def few_in_flight(self) -> int:
        """Reading goes on when fewer requests than this are unanswered."""
        return max(1, self.max_in_flight * 3 // 4)

    @property
    def few_in_flight_bytes(self) -> int:
        """Reading goes on when unanswered requests have fewer bytes than this."""
        return max(1, self.max_in_flight_bytes * 3 // 4)

    def most_queued(self, reading: bool) -> int:
        """Say how many bytes may queue; see L{reached}."""
        return self.high_water if reading else self.low_water

    def reached(self, reading: bool, queued: int, in_flight: int, size: int) -> bool:
        """
        Say whether so much is owed to a client that it is not to be read from.

        @param reading: whether it is read from now: going on takes less than
            going on for a while longer.
        @param queued: bytes that queue towards it.
        @param in_flight: its requests that are not answered.
        @param size: the bytes of those.
        """
        if reading:
            return (
                queued > self.high_water
                or in_flight >= self.max_in_flight
                or size >= self.max_in_flight_bytes
            )
        return (
            queued > self.low_water
            or in_flight >= self.few_in_flight
            or size >= self.few_in_flight_bytes
        )


@define
class Counters:
    """
    What has happened on one socket since it was opened.

    @ivar accepted: clients whose C{connected} ended well.
    @ivar refused: clients that were turned away.
    @ivar refused_for: how many of them why, by the words of
        L{door<sockhost.sockets.door>}.
    @ivar frames_in: frames that were given to the handler.
    @ivar frames_out: frames that were queued to clients.
    @ivar bytes_in: bytes that were read.
    @ivar bytes_out: bytes that were queued to clients.
    @ivar dropped: how many clients were dropped why, by the words of
        L{ends<sockhost.sockets.ends>}.
    @ivar errors: failures of the handler.
    @ivar in_flight: requests that are not answered now.
    """

    accepted: int = 0
    refused: int = 0
    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    errors: int = 0
    in_flight: int = 0
    refused_for: dict[str, int] = field(factory=dict)
    dropped: dict[str, int] = field(factory=dict)

    def drop(self, why: str) -> None:
        """Count a client that was dropped."""
        self.dropped[why] = self.dropped.get(why, 0) + 1

    def refuse(self, why: str) -> None:
        """Count a client that was turned away."""
        self.refused += 1
        self.refused_for[why] = self.refused_for.get(why, 0) + 1
