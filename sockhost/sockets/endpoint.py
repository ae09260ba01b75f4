# -*- test-case-name: tests.functional.test_endpoint -*-
"""
A safe Unix socket for any program on Twisted, as a server endpoint::

    twistd web --listen sockhost:path=web.sock:mode=660:allow=www-data

Its permissions are in place before anybody can connect, it removes nothing
that belongs to others, and it lets in only whom it is told to.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Any

from attrs import define
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.logger import Logger
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.interfaces import SockhostError
from sockhost.sockets.access import Access
from sockhost.sockets.bound import system_address
from sockhost.sockets.listener import IListenerReactor, UnixListener
from sockhost.sockets.reach import Reach, open_socket

PREFIX = "sockhost"


@implementer(IListeningPort)
class SafePort:
    """
    A socket that listens for a factory's clients.

    @ivar refused: how many clients were turned away.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IListenerReactor,
        reach: Reach,
        access: Access,
        factory: IProtocolFactory,
    ) -> None:
        self.refused = 0
        self._reactor = reactor
        self._reach = reach
        self._access = access
        self._factory = factory
        self._listener: UnixListener | None = None
        self._address = UNIXAddress(None)

    def startListening(self) -> None:
        """
        Make the socket and accept.

        @raise SockhostError: that is not possible.
        """
        bound = open_socket(self._reach)
        self._address = UNIXAddress(os.fsencode(system_address(bound.path)))
        listener = UnixListener(
            self._reactor, bound, self._factory, self._lost, self._admit
        )
        try:
            listener.start()
        except OSError as error:
            bound.unlink()
            listener.stop()
            where = self._reach.where
            raise SockhostError(f"cannot listen on {where}: {error}") from error
        self._listener = listener

    def stopListening(self) -> Deferred[None]:
        """
        Remove the socket's file, if it was made here, and accept nobody any
        more.

        @return: fires when that is done.
        """
        return Deferred.fromCoroutine(self._stop())

    def getHost(self) -> UNIXAddress:
        """Where it listens."""
        return self._address

    def _admit(self, accepted: socket.socket) -> bool:
        admitted = self._access.admits_socket(accepted)
        if not admitted:
            self.refused += 1
            self._log.info("{path}: a client was refused", path=self._reach.where)
        return admitted

    async def _stop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            try:
                listener.bound.unlink()
            finally:
                listener.stop()

    def _lost(self, reason: Failure) -> None:
        self._log.failure(
            "nothing listens on {path} any more", reason, path=self._reach.where
        )
        if self._listener is not None:
            self._listener.bound.unlink()
            self._listener = None


@implementer(IStreamServerEndpoint)
@define(eq=False)
class SafeServerEndpoint:
    """
    Listens on a Unix socket.

    @ivar reach: where it is and who may use it.  Of its keys those count which
        are about the socket itself, not those about frames.
    """

    _reactor: IListenerReactor
    reach: Reach

    def listen(
        self,
        protocolFactory: IProtocolFactory,  # noqa: N803 - the interface's name
    ) -> Deferred[IListeningPort]:
        """
        Make the socket.

        @return: fires with a L{SafePort}.  Fails with L{SockhostError}, of
            which L{PathInUse<sockhost.interfaces.PathInUse>} is one, if that
            is not possible; nothing is left then.
        """
        return Deferred.fromCoroutine(self._listen(protocolFactory))

    async def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        port = SafePort(self._reactor, self.reach, self.reach.access(), factory)
        port.startListening()
        return port


def parse_endpoint(
    path: str | None = None,
    systemd: str | None = None,
    fd: str | None = None,
    mode: str = "0600",
    owner: str | None = None,
    group: str | None = None,
    backlog: str | None = None,
    allow: str = "",
    deny: str = "",
) -> Reach:
    """
    Make sense of the arguments of an endpoint description.  They mean what the
    keys of a socket unit mean, with several rules separated by commas.

    @raise ValueError: they cannot be used; the text says why.
    """
    return Reach(
        path=path,
        systemd=systemd,
        fd=None if fd is None else _number("fd", fd),
        mode=mode,
        owner=owner,
        group=group,
        backlog=None if backlog is None else _number("backlog", backlog),
        allow=_rules(allow),
        deny=_rules(deny),
    )


@implementer(IPlugin, IStreamServerEndpointStringParser)
class SafeEndpointParser:
    """
    Understands C{"sockhost:path=web.sock:mode=660:allow=www-data"}.
    """

    prefix = PREFIX

    def parseStreamServer(
        self, reactor: Any, *args: Any, **kwargs: Any
    ) -> SafeServerEndpoint:
        """
        Make an endpoint of its description.

        @raise ValueError: it cannot be used.
        """
        try:
            reach = parse_endpoint(*args, **kwargs)
        except TypeError as error:
            raise ValueError(_told(error)) from error
        return SafeServerEndpoint(reactor, reach)


def _number(key: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{key}={text}: expected a whole number")
    return int(text)


def _rules(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _told(error: TypeError) -> str:
    # "parse_endpoint() got an unexpected keyword argument 'x'"
    return "sockhost: " + re.sub(r"^\w+\(\) ", "", str(error))
