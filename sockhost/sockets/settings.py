# -*- test-case-name: tests.sockets.test_settings -*-
"""
The keys of a unit of the kind C{socket}.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import field, fields, frozen

from sockhost.config import between, not_negative, python_name, unix_path
from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import HEADER_SIZE, MAX_FRAME

_OCTAL = re.compile(r"0?[0-7]{3}")
_MOST = 2**31 - 1


def _mode(_: object, __: object, value: str) -> None:
    if not _OCTAL.fullmatch(value):
        raise ValueError(
            'expected permissions as octal digits in quotes, such as "0600"'
        )


@frozen(kw_only=True)
class SocketConfig:
    """
    A framed Unix socket and its handler.

    @ivar path: where the socket is; at most 107 bytes.
    @ivar handler: C{"module:Class"} of an L{ISocketHandler
        <sockhost.interfaces.ISocketHandler>}.
    @ivar options: keyword arguments for the handler's class.
    @ivar workers: how many processes serve the socket; 0 for the host itself.
    @ivar mode: the permissions of the socket file as octal digits, C{"0600"}.
    @ivar owner: the user that the socket file is given to.
    @ivar group: the group that the socket file is given to.
    @ivar backlog: how many clients may wait to be accepted.
    @ivar max_frame: the greatest length of a frame in bytes, with the four
        bytes of its header.
    @ivar high_water: bytes that may queue towards a client before it is not
        read from any more.
    @ivar max_in_flight: unanswered requests of a client before it is not read
        from any more.
    @ivar max_clients: how many clients a process serves; 0 for no limit.
    @ivar drain: seconds that unanswered requests get when the unit stops.
    """

    path: str = field(validator=unix_path)
    handler: str = field(validator=python_name)
    options: Mapping[str, Any] = field(factory=dict)
    workers: int = field(default=0, validator=not_negative)
    mode: str = field(default="0600", validator=_mode)
    owner: str | None = None
    group: str | None = None
    backlog: int = field(default=128, validator=between(1, _MOST))
    max_frame: int = field(default=MAX_FRAME, validator=between(HEADER_SIZE, _MOST))
    high_water: int = field(default=256 * 1024, validator=between(1, _MOST))
    max_in_flight: int = field(default=1024, validator=between(1, _MOST))
    max_clients: int = field(default=0, validator=not_negative)
    drain: float = field(default=0.0, validator=not_negative)

    @property
    def mode_bits(self) -> int:
        """The permissions as a number."""
        return int(self.mode, 8)

    @property
    def limits(self) -> Limits:
        """What the socket allows its clients."""
        return Limits(
            max_frame=self.max_frame,
            high_water=self.high_water,
            max_in_flight=self.max_in_flight,
            max_clients=self.max_clients,
        )


LIVE = frozenset({"drain", "high_water", "max_clients", "max_frame", "max_in_flight"})
"""The keys that can change while the socket is open."""


def same_but_live(old: SocketConfig, new: SocketConfig) -> bool:
    """Say whether only keys differ that can change while the socket is open."""
    return all(
        getattr(old, each.name) == getattr(new, each.name)
        for each in fields(SocketConfig)
        if each.name not in LIVE
    )
