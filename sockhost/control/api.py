# -*- test-case-name: tests.control.test_api,tests.control.test_api_streams -*-
"""
The routes of the control API and what each does to the host.

What a request asks for is the host's work, not the request's.  A client that
goes away, or that has waited long enough, is detached from it: the work goes
on, and its outcome is written down.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from werkzeug.exceptions import NotFound
from zope.interface import implementer

from sockhost.control.access import Access, asked_by
from sockhost.control.answers import (
    StillWaiting,
    flag,
    number,
    seconds,
    to_answer,
    write_error,
    write_json,
)
from sockhost.control.logs import LineSplitter
from sockhost.control.streams import EventStream
from sockhost.interfaces import IHost, INotifier, SockhostError
from sockhost.processes.output import Follower, tail
from sockhost.status import Event, HostStatus, to_json

_T = TypeVar("_T")

Exposition = Callable[[HostStatus], tuple[str, bytes]]
"""Writes the numbers of a host: says what the format is called, and the text."""

TIMEOUT = 60.0
"""Seconds that a request waits for a unit if it does not say how long."""

MAX_TIMEOUT = 7 * 24 * 3600.0
MAX_LINES = 1_000_000


@implementer(INotifier)
@define
class _Tell:
    """Sends every event of the host to one stream."""

    _stream: EventStream

    def notify(self, event: Event) -> None:
        self._stream.send(json.dumps(to_json(event), default=str))


def detach(work: Deferred[_T], done: Callable[[_T | Failure], object]) -> Deferred[_T]:
    """
    Wait for work in a way that can be given up.

    @param done: is told how the work ended, whether or not anybody waits.
    @return: fires like C{work}.  Cancelling it leaves the work alone.
    """
    waiting: Deferred[_T] = Deferred()

    def ended(result: _T | Failure) -> None:
        done(result)
        if not waiting.called:
            waiting.callback(result)

    work.addBoth(ended)
    return waiting


@define(slots=False, eq=False)
class ControlAPI:
    """
    The host as a klein application: C{app.resource()} serves it.

    @ivar _host: the host.
    @ivar _clock: measures time-outs and keep-alives.
    @ivar _access: says who asks, and keeps the record.
    @ivar _exposition: writes the metrics; C{None} if there are none.
    """

    _log = Logger()
    app = Klein()
    # Klein would answer "//units" with a redirect that is not JSON.
    app.url_map.merge_slashes = False

    _host: IHost
    _clock: IReactorTime
    _access: Access
    _exposition: Exposition | None = None
    _streams: set[EventStream] = field(init=False, factory=set)

    def end_streams(self) -> None:
        """Finish every response that is kept open."""
        for stream in tuple(self._streams):
            stream.end()

    @app.handle_errors(Exception)  # type: ignore[arg-type]
    def failed(self, request: Request, failure: Failure) -> bytes:
        return write_error(request, failure)

    @app.route("/", methods=["GET"])
    def routes(self, request: Request) -> bytes:
        """List the routes."""
        return write_json(request, {"routes": _routes(self.app)})

    @app.route("/host", methods=["GET"])
    def host(self, request: Request) -> bytes:
        """Describe the host and all its units."""
        return write_json(request, to_json(self._host.status()))

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: Request) -> bytes:
        """Give the numbers of the host and its units, for Prometheus."""
        if self._exposition is None:
            raise NotFound()
        kind, text = self._exposition(self._host.status())
        request.setHeader(b"content-type", kind.encode())
        return text

    @app.route("/units", methods=["GET"])
    def units(self, request: Request) -> bytes:
        """List the units."""
        return write_json(request, to_json(self._host.status())["units"])

    @app.route("/units/<name>", methods=["GET"])
    def unit(self, request: Request, name: str) -> bytes:
        """Describe one unit."""
        return write_json(request, to_json(self._host.unit_status(name)))

    @app.route("/units/<name>/start", methods=["POST"])
    def start(self, request: Request, name: str) -> Deferred[bytes]:
        """Set the goal of a unit to up."""
        return self._act(request, "start", name, self._host.start)

    @app.route("/units/<name>/stop", methods=["POST"])
    def stop(self, request: Request, name: str) -> Deferred[bytes]:
        """Set the goal of a unit to down."""
        return self._act(request, "stop", name, self._host.stop)

    @app.route("/units/<name>/restart", methods=["POST"])
    def restart(self, request: Request, name: str) -> Deferred[bytes]:
        """Take a unit down and up again."""
        return self._act(request, "restart", name, self._host.restart)

    @app.route("/units/<name>/reload", methods=["POST"])
    def reload(self, request: Request, name: str) -> Deferred[bytes]:
        """Give a unit its present configuration again."""
        return self._act(request, "reload", name, self._host.reload)

    @app.route("/units/<name>/clients", methods=["GET"])
    def clients(self, request: Request, name: str) -> Deferred[bytes]:
        """List the clients that are connected to a unit."""
        return self._host.clients(name).addCallback(
            lambda found: write_json(request, list(found))
        )

    @app.route("/units/<name>/clients/<client>/kick", methods=["POST"])
    def kick(self, request: Request, name: str, client: str) -> Deferred[bytes]:
        """Drop a client of a unit."""
        work = self._begin(
            request,
            "kick",
            f"{name} client {client}",
            lambda who: self._host.kick(name, client, who),
        )
        return work.addCallback(lambda _: write_json(request, {"done": True}))

    @app.route("/units/<name>/logs", methods=["GET"])
    def logs(self, request: Request, name: str) -> bytes | Deferred[bytes]:
        """Read the last lines of a unit's log; follow=1: and those to come."""
        path = self._host.log_path(name)
        lines = number(request, "lines", 100, MAX_LINES)
        text = _tail(path, lines)
        if flag(request, "follow", False):
            return self._keep_open(request, lambda s: self._follow(s, path, lines))
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return text

    @app.route("/events", methods=["GET"])
    def events(self, request: Request) -> bytes | Deferred[bytes]:
        """Be told of every event as it happens."""
        return self._keep_open(request, lambda s: self._host.subscribe(_Tell(s)))

    @app.route("/reconfigure", methods=["POST"])
    def reconfigure(self, request: Request) -> Deferred[bytes]:
        """Read the configuration again and change what changed."""
        return Deferred.fromCoroutine(self._reconfigure(request))

    @app.route("/reopen-logs", methods=["POST"])
    def reopen_logs(self, request: Request) -> bytes:
        """Close and open again every log file."""
        peer = self._access.identify(request)
        self._host.reopen_logs()
        self._access.record(peer, "reopen-logs", "host", "done")
        return write_json(request, {"done": True})

    @app.route("/shutdown", methods=["POST"])
    def shutdown(self, request: Request) -> bytes:
        """Begin the ordered stop of the host."""
        peer = self._access.identify(request)
        self._access.record(peer, "shutdown", "host", "begun")
        # Only when the answer is on its way: the stop ends this connection.
        request.notifyFinish().addBoth(
            lambda _: self._host.shutdown(asked_by(peer))
        ).addErrback(lambda why: self._log.failure("shutdown failed", why))
        return write_json(request, {"done": False}, 202)

    def _act(
        self,
        request: Request,
        verb: str,
        name: str,
        method: Callable[[str, str], Deferred[Any]],
    ) -> Deferred[bytes]:
        return Deferred.fromCoroutine(self._do(request, verb, name, method))

    async def _do(
        self,
        request: Request,
        verb: str,
        name: str,
        method: Callable[[str, str], Deferred[Any]],
    ) -> bytes:
        timeout = seconds(request, "timeout", TIMEOUT, MAX_TIMEOUT)
        wait = flag(request, "wait", True)
        self._host.unit_status(name)
        work = self._begin(request, verb, name, lambda who: method(name, who))
        if not wait:
            # Its failure was written down, and nobody is left to tell it to.
            work.addErrback(lambda _: None)
            return self._unit_answer(request, name, 202, done=False)
        result = await self._in_time(work, timeout, verb)
        more = {"in_place": result} if verb == "reload" else {}
        return self._unit_answer(request, name, 200, done=True, **more)

    def _unit_answer(
        self, request: Request, name: str, status: int, **more: object
    ) -> bytes:
        unit = to_json(self._host.unit_status(name))
        return write_json(request, {**more, "unit": unit}, status)

    async def _reconfigure(self, request: Request) -> bytes:
        timeout = seconds(request, "timeout", TIMEOUT, MAX_TIMEOUT)
        work = self._begin(request, "reconfigure", "host", self._host.reconfigure)
        changes = await self._in_time(work, timeout, "reconfigure")
        return write_json(request, {word: list(changes[word]) for word in changes})

    def _begin(
        self,
        request: Request,
        verb: str,
        target: str,
        method: Callable[[str], Deferred[_T]],
    ) -> Deferred[_T]:
        """Have the host do something, and write down who asked and how it went."""
        peer = self._access.identify(request)

        def ended(result: object) -> None:
            self._access.record(peer, verb, target, _outcome(result))

        return detach(method(asked_by(peer)), ended)

    async def _in_time(self, work: Deferred[_T], timeout: float, what: str) -> _T:
        try:
            return await work.addTimeout(timeout, self._clock)
        except DeferredTimeout:
            raise StillWaiting(
                f"{what} is not done after {timeout:g} s; it goes on"
            ) from None

    def _keep_open(
        self, request: Request, begin: Callable[[EventStream], Callable[[], None]]
    ) -> bytes | Deferred[bytes]:
        if request.method == b"HEAD":
            return b""
        return Deferred.fromCoroutine(self._stream(request, begin))

    async def _stream(
        self, request: Request, begin: Callable[[EventStream], Callable[[], None]]
    ) -> bytes:
        stream = EventStream(request, self._clock)
        self._streams.add(stream)
        stream.open()
        try:
            finish = begin(stream)
            try:
                await stream.ended()
            finally:
                finish()
        finally:
            stream.close()
            self._streams.discard(stream)
        return b""

    def _follow(self, stream: EventStream, path: str, lines: int) -> Callable[[], None]:
        # Read and begun in one go, so that no line is lost or told twice.
        splitter = LineSplitter(stream.send_all)
        splitter.feed(tail(path, lines))
        splitter.on_line = stream.send
        follower = Follower(self._clock, path, splitter.feed)
        follower.start()
        return follower.stop


def _tail(path: str, lines: int) -> bytes:
    try:
        return tail(path, lines)
    except OSError as error:
        raise SockhostError(f"{path} cannot be read: {error.strerror}") from error


def _outcome(result: object) -> str:
    if isinstance(result, Failure):
        answer = to_answer(result.value)
        return f"{answer.kind}: {answer.text}"
    return "done"


def _routes(app: Klein) -> list[dict[str, str]]:
    """Say what there is, in the order in which it stands above."""
    return [
        {
            "method": "POST" if "POST" in (rule.methods or ()) else "GET",
            "path": rule.rule,
            "what": (getattr(ControlAPI, rule.endpoint).__doc__ or "").strip(),
        }
        for rule in app.url_map.iter_rules()
    ]
