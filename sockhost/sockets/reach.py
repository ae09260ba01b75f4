# -*- test-case-name: tests.sockets.test_reach -*-
"""
Where a socket is and who may use it: the keys of a unit that are about that,
and making the socket that they describe.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Any

from attrs import field, frozen
from attrs.validators import optional

from sockhost.config import between, not_empty, not_negative, unix_path
from sockhost.interfaces import SockhostError
from sockhost.sockets.access import Access, access_rule
from sockhost.sockets.bound import ABSTRACT, BoundSocket, adopt_unix, bind_unix
from sockhost.sockets.inherited import inherited_sockets

_OCTAL = re.compile(r"0?[0-7]{3}")
_PLACES = ("path", "systemd", "fd", "endpoint")
_MOST = 2**31 - 1

# What means nothing for a socket that is none of this machine's, or that the
# endpoint makes.
_UNIX_ONLY = (
    "owner",
    "group",
    "allow",
    "deny",
    "max_clients_per_uid",
    "pass_fds",
    "pass_credentials",
    "workers",
)


def _mode(_: object, __: object, value: str) -> None:
    if not _OCTAL.fullmatch(value):
        raise ValueError(
            'expected permissions as octal digits in quotes, such as "0600"'
        )


def _path(reach: Any, _: object, value: str | None) -> None:
    if value is None:
        return
    unix_path(None, None, value)
    if not value.startswith(ABSTRACT):
        return
    if value == ABSTRACT:
        raise ValueError('expected a name behind "@" for an abstract socket')
    if not reach.allow:
        raise ValueError(
            "expected an allow rule beside it: an abstract socket has no file"
            ' whose permissions could protect it (allow = ["*"] if all may connect)'
        )


def _endpoint(reach: Any, _: object, value: str | None) -> None:
    if value is None:
        return
    not_empty(None, None, value)
    if ":" not in value:
        raise ValueError('expected a server endpoint, such as "tcp:4000"')
    senseless = [key for key in _UNIX_ONLY if getattr(reach, key, None)]
    if senseless:
        raise ValueError(f"expected no {senseless[0]} beside an endpoint")


@frozen(kw_only=True)
class Reach:
    """
    Where a socket is, and who may use it.

    @ivar path: where the socket is; at most 107 bytes.  C{"@name"} is an
        abstract socket, which has no file and needs C{allow}.  One of C{path},
        C{systemd}, C{fd} and C{endpoint} is required.
    @ivar systemd: instead of a path, the C{FileDescriptorName=} of a socket
        that systemd has made and handed to the host.
    @ivar fd: instead of a path, the number of a listening Unix socket that the
        host has inherited.
    @ivar endpoint: instead of a path, a server endpoint of Twisted:
        C{"tcp:4000"}, C{"ssl:4000:privateKey=key.pem"}.
    @ivar mode: the permissions of the socket file as octal digits, C{"0600"}.
    @ivar owner: the user that the socket file is given to.
    @ivar group: the group that the socket file is given to.
    @ivar backlog: how many clients may wait to be accepted; 128 if that is not
        given, or what a socket that was inherited has already.
    @ivar allow: who may connect, as the kernel tells it: users by name or
        number (C{"www-data"}, C{"33"}), groups behind a C{%} (C{"%adm"},
        C{"%4"}; a client's supplementary groups count), C{"*"} for everybody.
        Nobody else may then, not even root.  Empty for no such rule.
    @ivar deny: who may not connect even if C{allow} says so.
    @ivar max_clients_per_uid: how many clients of one user a process serves; 0
        for no limit.
    @ivar pass_fds: whether descriptors may be passed, in both directions.
    @ivar max_fds: how many descriptors of a client the handler may leave
        untaken before that client is dropped.
    @ivar pass_credentials: whether the kernel is to tell who wrote the bytes of
        a frame, beside who connected.
    """

    path: str | None = field(default=None, validator=_path)
    systemd: str | None = field(default=None, validator=optional(not_empty))
    fd: int | None = field(default=None, validator=optional(between(0, _MOST)))
    endpoint: str | None = field(default=None, validator=_endpoint)
    mode: str = field(default="0600", validator=_mode)
    owner: str | None = None
    group: str | None = None
    backlog: int | None = field(default=None, validator=optional(between(1, _MOST)))
    allow: tuple[str, ...] = field(default=(), validator=access_rule)
    deny: tuple[str, ...] = field(default=(), validator=access_rule)
    max_clients_per_uid: int = field(default=0, validator=not_negative)
    pass_fds: bool = False
    max_fds: int = field(default=16, validator=between(1, _MOST))
    pass_credentials: bool = False

    def __attrs_post_init__(self) -> None:
        given = [key for key in _PLACES if getattr(self, key) is not None]
        if len(given) != 1:
            listed = " and ".join(given) or "none of them"
            raise ValueError(
                f"expected exactly one of {', '.join(_PLACES)}; {listed} is given"
                if len(given) < 2
                else f"expected only one of {', '.join(_PLACES)}, not {listed}"
            )

    @property
    def mode_bits(self) -> int:
        """The permissions as a number."""
        return int(self.mode, 8)

    @property
    def where(self) -> str:
        """Where the socket is, for people; a path is just that."""
        for key in _PLACES[1:3]:
            value = getattr(self, key)
            if value is not None:
                return f"{key}:{value}"
        return self.path or self.endpoint or ""

    @property
    def passing(self) -> bool:
        """Whether anything comes beside the bytes."""
        return self.pass_fds or self.pass_credentials

    def access(self) -> Access:
        """
        Who may connect.

        @raise SockhostError: a user or group does not exist.
        """
        return Access.parse(self.allow, self.deny)


def open_socket(reach: Reach) -> BoundSocket:
    """
    Make or take the Unix socket that is described, and listen.

    @param reach: does not say C{endpoint}.
    @raise SockhostError: that is not possible; the text says why, and nothing
        is left of the attempt.
    """
    bound = _open(reach)
    if reach.pass_credentials:
        # Each connection has it from its listener.
        bound.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return bound


def _open(reach: Reach) -> BoundSocket:
    if reach.path is None:
        return _adopt(_inherited(reach), reach)
    return bind_unix(
        reach.path,
        mode=reach.mode_bits,
        owner=reach.owner,
        group=reach.group,
        backlog=reach.backlog,
    )


def _inherited(reach: Reach) -> int:
    if reach.systemd is not None:
        return inherited_sockets().copy(reach.systemd)
    assert reach.fd is not None
    try:
        # A copy, as the unit may be restarted; the original stays, but not in
        # the processes that are spawned.
        copy = os.dup(reach.fd)
        os.set_inheritable(reach.fd, False)
    except OSError as error:
        raise SockhostError(f"descriptor {reach.fd} is not there: {error}") from error
    return copy


def _adopt(fd: int, reach: Reach) -> BoundSocket:
    try:
        bound = adopt_unix(fd, reach.backlog)
    except SockhostError:
        os.close(fd)
        raise
    try:
        # What systemd listens on has the Backlog= of its unit.
        if reach.backlog is not None or not _is_listening(bound.socket):
            bound.listen()
    except OSError as error:
        bound.close()
        raise SockhostError(f"cannot listen on {reach.where}: {error}") from error
    return bound


def _is_listening(adopted: socket.socket) -> bool:
    return bool(adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
