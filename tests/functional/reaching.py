"""
A socket unit and its handler, for tests of where it is, who may reach it and
what comes through it.
"""

from __future__ import annotations

import os
from grp import getgrgid
from pwd import getpwuid
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet import reactor as installed_reactor
from twisted.trial.unittest import SkipTest, TestCase

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets.client import connect
from sockhost.sockets.settings import SocketConfig
from sockhost.sockets.unit import SocketUnit
from tests.functional.test_sockets import ROOT, short_directory

reactor = cast(Any, installed_reactor)


class Handler:
    """
    Sends back what it gets, and the descriptors that come with it.
    """

    made: Handler

    def __init__(self, host: object) -> None:
        Handler.made = self
        self.clients: list[IClient] = []
        self.senders: list[Any] = []
        self.gone: list[str] = []
        self.groups: list[tuple[int, ...]] = []

    def connected(self, client: IClient) -> None:
        """Note it."""
        self.clients.append(client)

    def received(self, client: IClient, frame: bytes) -> bytes | None:
        """Answer."""
        self.senders.append(client.sender)
        self.groups.append(client.groups)
        if frame == b"keep":
            return frame
        descriptors = client.take_fds()
        if not descriptors:
            return frame
        client.send_fds(frame, descriptors).addErrback(lambda _: None)
        for descriptor in descriptors:
            os.close(descriptor)
        return None

    def disconnected(self, client: IClient, reason: Disconnected) -> None:
        """Note it."""
        self.gone.append(str(reason))


def own_names() -> tuple[str, str]:
    """The names of this process' user and group, where they have names."""
    try:
        return getpwuid(os.getuid()).pw_name, getgrgid(os.getgid()).gr_name
    except KeyError as error:
        raise SkipTest(f"this user or its group has no name here: {error}") from None


class ReachCase(TestCase):
    """A test with a socket unit."""

    timeout = 100

    def setUp(self) -> None:
        """Have a place for the socket."""
        self.path = os.path.join(short_directory(self), "s")

    async def serve(self, **keys: Any) -> SocketUnit:
        """Bring a unit up, which is stopped after the test."""
        host: Any = SimpleNamespace(reactor=reactor, config_dir=ROOT)
        place = {} if {"fd", "systemd", "endpoint", "path"} & set(keys) else self.place
        config = SocketConfig(**{"handler": f"{__name__}:Handler", **place, **keys})
        unit = SocketUnit("kv", config, host)
        await unit.start(lambda failure: self.fail(str(failure)))
        self.addCleanup(unit.stop)
        return unit

    @property
    def place(self) -> dict[str, Any]:
        """The usual one."""
        return {"path": self.path}

    async def ask(self, frame: bytes = b"x", path: str | None = None) -> bytes:
        """Connect, ask, and close."""
        client = await connect(reactor, path or self.path)
        try:
            return await client.request(frame)
        finally:
            await client.close()
