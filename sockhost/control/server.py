# -*- test-case-name: tests.control.test_server -*-
"""
The control socket: who may connect to it, and what becomes of its connections
when the host stops.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from sockhost.control.access import Access, allowed_users
from sockhost.control.answers import BadRequest, write_error
from sockhost.control.api import ControlAPI, Exposition
from sockhost.control.place import forget_control, tell_control
from sockhost.interfaces import IHost
from sockhost.sockets.bound import bind_unix
from sockhost.sockets.listener import IListenerReactor, UnixListener

PARTING = 1.0
"""Seconds that connections get to take their last bytes when the host stops."""


class GuardedResource(Resource):
    """Lets those requests through that may use the host."""

    def __init__(self, access: Access, inner: IResource) -> None:
        super().__init__()
        self.isLeaf = True
        self._access = access
        self._inner = inner

    def render(self, request: Request) -> bytes | int:
        """Answer a refusal here; have the rest answered."""
        try:
            self._access.check(request)
            _make_plain(request)
        except Exception:
            return write_error(request, Failure())
        answer: bytes | int = self._inner.render(request)
        return answer


def _make_plain(request: Request) -> None:
    """
    Leave nothing in a request that klein would answer without JSON: a path
    that is not text, or a C{Host} header, which means nothing here.
    """
    request.requestHeaders.setRawHeaders(b"host", [b"localhost"])
    try:
        b"/".join(request.postpath or ()).decode()
    except UnicodeDecodeError:
        raise BadRequest("the path is not UTF-8") from None


class QuietSite(Site):
    """A site without an access log, and without the clock that dates it."""

    noisy = False

    def startFactory(self) -> None:
        """There is no log to open."""

    def stopFactory(self) -> None:
        """There is no log to close."""


class Connection(ProtocolWrapper):
    """One connection, between its transport and the site's protocol."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone, and so are its requests when this has returned."""
        connections = self.factory
        super().connectionLost(reason)
        if isinstance(connections, Connections):
            connections.closed()


class Connections(WrappingFactory[Connection]):
    """Knows every connection of a site, so that it can end them."""

    noisy = False
    protocol = Connection
    _empty: Deferred[None] | None = None

    def closed(self) -> None:
        """Take note that a connection is gone."""
        if not self.protocols and self._empty is not None:
            empty, self._empty = self._empty, None
            empty.callback(None)

    def end(self, clock: IReactorTime) -> Deferred[None]:
        """
        Close every connection when it has taken its last bytes, or after
        L{PARTING}.

        @return: fires when none is left.
        """
        return Deferred.fromCoroutine(self._end(clock))

    async def _end(self, clock: IReactorTime) -> None:
        if not self.protocols:
            return
        empty: Deferred[None] = Deferred()
        self._empty = empty
        late = clock.callLater(PARTING, self._abort)
        for connection in tuple(self.protocols):
            connection.loseConnection()
        await empty
        if late.active():
            late.cancel()

    def _abort(self) -> None:
        for connection in tuple(self.protocols):
            connection.abortConnection()


def make_site(api: ControlAPI, access: Access, reactor: IReactorTime) -> Connections:
    """Make the factory of the connections of the control API."""
    site = QuietSite(GuardedResource(access, api.app.resource()), reactor=reactor)
    return Connections(site)


@define(eq=False)
class ControlServer:
    """
    The control API of one host on one Unix socket.

    @ivar path: of the socket; its mode is C{0600}.
    @ivar run_dir: the run directory, which leads clients to the socket; C{None}
        if they know where it is.
    @ivar users: user ids that may use it besides root and the host's own.
        They need more than the mode gives them to get so far.
    @ivar exposition: writes the metrics, if there are to be some.
    """

    _log = Logger()

    _host: IHost
    _reactor: IListenerReactor
    path: str
    run_dir: str | None = None
    users: Iterable[int] = ()
    exposition: Exposition | None = None
    _running: tuple[UnixListener, ControlAPI, Connections] | None = field(
        init=False, default=None
    )

    def start(self) -> None:
        """
        Answer from now on.

        @raise PathInUse: somebody listens there, or it is not a socket.
        @raise SockhostError: the socket cannot be made.
        @raise OSError: the run directory cannot lead to it.
        """
        access = Access(allowed_users(self.users))
        api = ControlAPI(self._host, self._reactor, access, self.exposition)
        connections = make_site(api, access, self._reactor)
        bound = bind_unix(self.path, mode=0o600)
        listener = UnixListener(self._reactor, bound, connections, self._lost)
        listener.start()
        self._running = listener, api, connections
        if self.run_dir is not None:
            tell_control(self.run_dir, self.path)

    def stop(self) -> Deferred[None]:
        """
        Remove the socket, finish the streams and close every connection.

        @return: fires when nothing of it is left.  At once if it was not
            started.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._running is None:
            return
        (listener, api, connections), self._running = self._running, None
        if self.run_dir is not None:
            forget_control(self.run_dir)
        listener.bound.unlink()
        listener.stop()
        api.end_streams()
        await connections.end(self._reactor)

    def _lost(self, reason: Failure) -> None:
        self._log.failure("nothing listens on {path} any more", reason, path=self.path)
