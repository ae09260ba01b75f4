# -*- test-case-name: tests.sockets.test_settings -*-
"""
The keys of a unit of the kind C{socket}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, fields, frozen
from attrs.validators import optional

from sockhost.config import between, not_empty, not_negative, python_name
from sockhost.interfaces import ICodec
from sockhost.sockets.codecs import DEFAULT, codec_names, find_codec
from sockhost.sockets.limits import HalfClose, Limits, Transport
from sockhost.sockets.reach import Reach
from sockhost.sockets.wire import HEADER_SIZE, MAX_FRAME

MOST_WORKERS = 1024
"""More processes than any machine has CPUs for would be a mistake."""

_MOST = 2**31 - 1
_MOST_FRAME = 2**32 - 1


def known_framing(_: object, __: object, value: str) -> None:
    """
    Accept the name of a codec.

    @raise ValueError: there is none of that name.
    """
    if find_codec(value) is None:
        raise ValueError(f"expected one of {', '.join(codec_names())}")


def _room_for_a_frame(config: SocketConfig, _: object, value: int) -> None:
    if value and not config.max_frame <= value:
        raise ValueError(
            f"expected at least the {config.max_frame} bytes of max_frame, "
            "or 0 for no limit"
        )


@frozen(kw_only=True)
class SocketConfig(Reach):
    """
    A framed Unix socket and its handler.

    @ivar handler: C{"module:Class"} of an L{ISocketHandler
        <sockhost.interfaces.ISocketHandler>}.
    @ivar options: keyword arguments for the handler's class.
    @ivar workers: how many processes serve the socket, 1024 at most; 0 for the
        host itself.
    @ivar framing: how messages are cut out of the stream: C{length32},
        C{length32be-exclusive}, C{netstring}, C{line}, or what an installed
        package adds.
    @ivar max_frame: the greatest length of a frame in bytes, with its header
        and all else that is not payload.
    @ivar high_water: bytes that may queue towards a client before it is not
        read from any more.
    @ivar max_in_flight: unanswered requests of a client before it is not read
        from any more.
    @ivar max_in_flight_bytes: bytes of a client's unanswered requests before
        it is not read from any more.
    @ivar max_buffered: bytes that all clients together may make a process
        hold: beginnings of frames, unanswered requests (400 bytes for each but
        a client's first, beside its payload), answers that are not taken.
        From three quarters of it, nobody is read from to whom something is
        owed; at the limit, the client that holds most is dropped.  0 for no
        limit.
    @ivar max_clients: how many clients a process serves; 0 for no limit.
    @ivar frame_timeout: seconds that a frame may take from its first byte to
        its last before the client is dropped; 0 for no limit, as in the other
        time-outs.  They are looked at now and then: a client may have up to a
        quarter more.
    @ivar idle_timeout: seconds that a client may stay without sending, getting
        or waiting for anything.
    @ivar stall_timeout: seconds in which a client has to take some of what is
        queued towards it (at least 256 KiB of a larger frame).
    @ivar transport: C{hub} reads and writes on the descriptors itself, which is
        2 to 10 times as fast; C{protocol} goes through Twisted's transports,
        for handlers that want C{client.transport}.  Endpoints and C{pass_fds}
        always do.
    @ivar half_close: what becomes of a client that closes its sending side
        only: C{drop} ends it at once, C{finish} answers its requests before.
    @ivar latency: whether the time that the handler takes for its answers is
        measured, which costs about half a microsecond for each frame.
    @ivar trace: a file that gets every frame in a form that C{text2pcap} and
        Wireshark read; worker 2 adds C{-2} to the name.  For finding faults: it
        costs more than most handlers.
    @ivar trace_max: the size at which that file becomes C{NAME.1} and a new one
        is begun.
    @ivar drain: seconds that unanswered requests get when the unit stops.
    """

    handler: str = field(validator=python_name)
    options: Mapping[str, Any] = field(factory=dict)
    workers: int = field(default=0, validator=between(0, MOST_WORKERS))
    framing: str = field(default=DEFAULT, validator=known_framing)
    max_frame: int = field(
        default=MAX_FRAME, validator=between(HEADER_SIZE, _MOST_FRAME)
    )
    high_water: int = field(default=256 * 1024, validator=between(1, _MOST))
    max_in_flight: int = field(default=1024, validator=between(1, _MOST))
    max_in_flight_bytes: int = field(
        default=16 * 1024 * 1024, validator=between(1, _MOST_FRAME)
    )
    max_buffered: int = field(
        default=256 * 1024 * 1024, validator=[not_negative, _room_for_a_frame]
    )
    max_clients: int = field(default=0, validator=not_negative)
    frame_timeout: float = field(default=0.0, validator=not_negative)
    idle_timeout: float = field(default=0.0, validator=not_negative)
    stall_timeout: float = field(default=0.0, validator=not_negative)
    transport: Transport = "hub"
    half_close: HalfClose = "drop"
    latency: bool = False
    trace: str | None = field(default=None, validator=optional(not_empty))
    trace_max: int = field(default=64 * 1024 * 1024, validator=between(4096, 2**53))
    drain: float = field(default=0.0, validator=not_negative)

    @property
    def limits(self) -> Limits:
        """What the socket allows its clients."""
        return Limits(**{name: getattr(self, name) for name in _LIMITS})

    @property
    def codec(self) -> Callable[[int], ICodec]:
        """Makes the codec of a client, given C{max_frame}."""
        found = find_codec(self.framing)
        assert found is not None, "it was there when this was validated"
        return found


_LIMITS = frozenset(each.name for each in fields(Limits))

LIVE = _LIMITS | {"allow", "deny", "drain"}
"""The keys that can change while the socket is open."""


def same_but_live(old: SocketConfig, new: SocketConfig) -> bool:
    """Say whether only keys differ that can change while the socket is open."""
    return all(
        getattr(old, each.name) == getattr(new, each.name)
        for each in fields(SocketConfig)
        if each.name not in LIVE
    )
