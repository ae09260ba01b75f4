# -*- test-case-name: tests.control.test_access -*-
"""
Who is at the other end of a connection, and whether they may use the host.
The kernel says who it is; nothing that a client sends counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define
from twisted.logger import Logger
from twisted.web.server import Request

from sockhost.control.answers import Forbidden
from sockhost.sockets.credentials import PeerCredentials, peer_credentials


def peer_of(request: Request) -> PeerCredentials:
    """
    Ask the kernel who made the connection that a request came on.

    @raise OSError: it cannot say.
    """
    # What the reactor makes of an accepted socket has a handle; no interface
    # of Twisted says so.
    transport: Any = request.transport
    return peer_credentials(transport.getHandle())


def asked_by(peer: PeerCredentials) -> str:
    """Name a peer for the record: C{"uid 0 pid 4242"}."""
    return f"uid {peer.uid} pid {peer.pid}"


def allowed_users(more: Iterable[int] = ()) -> frozenset[int]:
    """Root, the user that this process acts as, and those given."""
    return frozenset({0, os.geteuid(), *more})


@define
class Access:
    """
    Decides on every request, and writes down every one that changes something
    or was refused.

    @ivar allowed: the user ids that may use the host.
    @ivar identify: says who sent a request.
    """

    _log = Logger()

    allowed: frozenset[int]
    identify: Callable[[Request], PeerCredentials] = peer_of

    def check(self, request: Request) -> PeerCredentials:
        """
        Let a request pass.

        @return: who sent it.
        @raise Forbidden: they may not; it was written down.
        """
        peer = self.identify(request)
        if peer.uid in self.allowed:
            return peer
        what = request.method.decode("ascii", "replace")
        self.record(peer, what, request.path.decode("utf-8", "replace"), "forbidden")
        raise Forbidden(
            f"user {peer.uid} may not use this host; it answers to"
            f" {', '.join(map(str, sorted(self.allowed)))}"
        )

    def record(
        self, peer: PeerCredentials, verb: str, target: str, outcome: str
    ) -> None:
        """Write down what became of a request."""
        self._log.info(
            "{verb} {target} asked by {peer}: {outcome}",
            verb=verb,
            target=target,
            peer=asked_by(peer),
            uid=peer.uid,
            pid=peer.pid,
            outcome=outcome,
        )
