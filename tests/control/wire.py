"""
The control API over connections that exist in memory only: the site and the
HTTP are real, the transport and the host are not.
"""

from __future__ import annotations

import io
import json
from http.client import HTTPResponse
from typing import Any, cast

from attrs import define, field
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.web.server import Request

from sockhost.control.access import Access
from sockhost.control.api import ControlAPI
from sockhost.control.server import Connection, Connections, make_site
from sockhost.observe.metrics import exposition
from sockhost.sockets.credentials import PeerCredentials
from tests.control.fakes import FakeHost

ROOT = PeerCredentials(pid=4242, uid=0, gid=0)


class _Written:
    """As much of a socket as an L{HTTPResponse} reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


@define
class Answer:
    """A complete response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """What the body says."""
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)


def parse(data: bytes, method: str = "GET") -> Answer:
    """Read a response."""
    response = HTTPResponse(cast(Any, _Written(data)), method=method)
    response.begin()
    body = response.read()
    return Answer(response.status, dict(response.getheaders()), body)


def read_events(data: bytes) -> list[str]:
    """Read a stream of events as its definition says."""
    told: list[str] = []
    fields: list[str] = []
    for line in data.decode().split("\n"):
        if not line and fields:
            told.append("\n".join(fields))
            fields = []
        elif line.startswith("data: "):
            fields.append(line[6:])
    return told


@define(eq=False)
class MemoryConnection:
    """One client of the API."""

    protocol: Connection
    transport: StringTransportWithDisconnection

    def send(self, method: str, path: str, body: bytes = b"") -> None:
        """Send a request."""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        form = "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        self.protocol.dataReceived((head + form).encode() + body)

    def received(self) -> bytes:
        """All that came back so far."""
        data: bytes = self.transport.value()
        return data

    def producer(self) -> Any:
        """What the transport tells that it is full."""
        return self.transport.producer

    def events(self) -> list[str]:
        """The events in the stream that came back so far."""
        pieces = self.received().split(b"\r\n\r\n", 1)[1].split(b"\r\n")
        return read_events(b"".join(pieces[1::2]))

    def lose(self) -> None:
        """Go away."""
        self.transport.connected = False
        self.protocol.connectionLost(Failure(ConnectionDone()))


@define(eq=False)
class MemoryControl:
    """
    The API of a fake host.

    @ivar peer: who the clients are.
    """

    host: FakeHost = field(factory=FakeHost)
    clock: Clock = field(factory=Clock)
    peer: PeerCredentials = ROOT
    allowed: frozenset[int] = frozenset({0, 1000})
    api: ControlAPI = field(init=False)
    connections: Connections = field(init=False)

    def __attrs_post_init__(self) -> None:
        access = Access(self.allowed, self._identify)
        self.api = ControlAPI(self.host, self.clock, access, exposition)
        self.connections = make_site(self.api, access, self.clock)

    def connect(self) -> MemoryConnection:
        """Make a connection."""
        protocol = self.connections.buildProtocol(None)
        transport = StringTransportWithDisconnection()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return MemoryConnection(protocol, transport)

    def begin(self, method: str, path: str, body: bytes = b"") -> MemoryConnection:
        """Send a request that is not answered at once."""
        connection = self.connect()
        connection.send(method, path, body)
        return connection

    def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send a request that is answered at once, and close."""
        connection = self.begin(method, path, body)
        answer = parse(connection.received(), method)
        connection.lose()
        return answer

    def _identify(self, request: Request) -> PeerCredentials:
        return self.peer
