# -*- test-case-name: tests.workers.test_port -*-
"""
The port of a worker: AMP over a socket pair between it and the host.

The whole conversation::

    host                                    worker
                                         ←  Created   forked, reactor runs
                                            ... units that the handler uses,
                                                the handler's startup hook ...
                                         ←  Ready     (or Broken, and it exits)
    Serve + the listening socket         →            accepts from now on
                                         ←  Counters  when they changed, at most
                                                      once a second
                                         ←  Publish   an event for the notifiers
    Clients, Kick                        →            answered at once
    Hook "reconfigure" | "reopen_logs"   →            answered when it has run
    Unlisten                             →            accepts no more
    Quit                                 →            stops accepting, drains,
                                                      runs the shutdown hook,
                                                      exits with status 0

The host sends C{Serve} once, when the socket listens: to those that are ready
by then, and to one that becomes ready later as soon as it is.  C{Quit} may
come at any time.  When the port closes without C{Quit}, the host is gone, and
the worker exits at once.  A worker whose port closes is killed by the host.
"""

from __future__ import annotations

import json
import os
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

from sockhost.status import Event, to_json

MAX_VALUE = 0xFFFF
"""No value of a command is longer (bytes)."""

CLIENTS_AT_ONCE = 100
"""So many clients are described at once: they fit into a value."""


class HookFailed(Exception):
    """A hook of the handler failed in the worker, which has logged it."""


class CannotServe(Exception):
    """The worker is not in a state in which it can begin to accept."""


class Created(amp.Command):
    """The worker lives."""

    arguments = [(b"pid", amp.Integer())]


class Ready(amp.Command):
    """The worker can serve."""


class Broken(amp.Command):
    """The worker cannot serve and is about to exit."""

    arguments = [(b"reason", amp.Unicode())]


class Serve(amp.Command):
    """Accept on this listening socket."""

    arguments = [(b"listener", amp.Descriptor())]
    errors = {CannotServe: b"CANNOT_SERVE"}


class Counters(amp.Command):
    """What the worker has done so far: a JSON object."""

    arguments = [(b"counters", amp.String())]
    requiresAnswer = False


class Publish(amp.Command):
    """An event: its JSON object."""

    arguments = [(b"event", amp.String())]
    requiresAnswer = False


class Hook(amp.Command):
    """Run a hook of the handler, if it has it."""

    arguments = [(b"name", amp.Unicode())]
    errors = {HookFailed: b"HOOK_FAILED"}


class Clients(amp.Command):
    """
    Describe those clients whose id is greater than C{after}: a JSON array of
    the first of them, which is empty when there are no more.
    """

    arguments = [(b"after", amp.Integer())]
    response = [(b"clients", amp.String())]


class Kick(amp.Command):
    """Drop a client."""

    arguments = [(b"client", amp.Unicode())]
    response = [(b"found", amp.Boolean())]


class Unlisten(amp.Command):
    """Accept no more."""


class Quit(amp.Command):
    """End in good order."""


class HostSide(Protocol):
    """What a L{HostPort} tells."""

    def worker_created(self, pid: int) -> None:
        """The worker lives."""

    def worker_ready(self) -> None:
        """The worker can serve."""

    def worker_broken(self, reason: str) -> None:
        """The worker cannot serve."""

    def worker_counted(self, counters: dict[str, Any]) -> None:
        """The worker's counters are these."""

    def worker_published(self, event: Event) -> None:
        """Something in the worker has published an event."""

    def port_lost(self) -> None:
        """The port is closed."""


class WorkerSide(Protocol):
    """What a L{WorkerPort} tells."""

    def port_open(self) -> None:
        """The host can be talked to."""

    def serve(self, listener: int) -> None:
        """
        Accept on this descriptor.

        @raise CannotServe: it does not; the descriptor is closed.
        """

    def unlisten(self) -> None:
        """Accept no more."""

    def quit(self) -> None:
        """End in good order."""

    def hook(self, name: str) -> Deferred[None]:
        """Run a hook of the handler; fails with L{HookFailed}."""

    def clients(self, after: int, most: int) -> list[dict[str, Any]]:
        """Describe so many clients at most, those with ids above C{after}."""

    def kick(self, client: str) -> bool:
        """Drop a client; say whether it was there."""

    def port_lost(self) -> None:
        """The host is gone."""


class _Port(amp.AMP):
    # AMP logs where each connection leads; a socket pair leads nowhere.

    def makeConnection(self, transport: Any) -> None:
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None


class HostPort(_Port):
    """The host's end."""

    def __init__(self, side: HostSide) -> None:
        super().__init__()
        self._side = side

    @Created.responder
    def _created(self, pid: int) -> dict[str, Any]:
        self._side.worker_created(pid)
        return {}

    @Ready.responder
    def _ready(self) -> dict[str, Any]:
        self._side.worker_ready()
        return {}

    @Broken.responder
    def _broken(self, reason: str) -> dict[str, Any]:
        self._side.worker_broken(reason)
        return {}

    @Counters.responder
    def _counters(self, counters: bytes) -> dict[str, Any]:
        self._side.worker_counted(json.loads(counters))
        return {}

    @Publish.responder
    def _publish(self, event: bytes) -> dict[str, Any]:
        self._side.worker_published(Event(**json.loads(event)))
        return {}

    def serve(self, listener: int) -> Deferred[Any]:
        """
        Hand over the listening socket.

        @param listener: its descriptor, which stays the caller's.
        @return: fires when the worker accepts on it; fails if it is gone.
        """
        if self.transport is None:
            # AMP itself would look for it, to send a descriptor.
            return fail(ConnectionDone())
        # The transport closes nothing, but sends only when it can write.
        copy = os.dup(listener)
        done: Deferred[Any] = self.callRemote(Serve, listener=copy)
        return done.addBoth(_closing, copy)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The worker is gone."""
        super().connectionLost(reason)
        self._side.port_lost()


class WorkerPort(_Port):
    """The worker's end."""

    _log = Logger()

    def __init__(self, side: WorkerSide) -> None:
        super().__init__()
        self._side = side

    def connectionMade(self) -> None:
        """The port is open."""
        super().connectionMade()
        self._side.port_open()

    @Serve.responder
    def _serve(self, listener: int) -> dict[str, Any]:
        self._side.serve(listener)
        return {}

    @Hook.responder
    def _hook(self, name: str) -> Deferred[dict[str, Any]]:
        return self._side.hook(name).addCallback(lambda _none: {})

    @Clients.responder
    def _clients(self, after: int) -> dict[str, Any]:
        described = self._side.clients(after, CLIENTS_AT_ONCE)
        return {"clients": json.dumps(described).encode("ascii")}

    @Kick.responder
    def _kick(self, client: str) -> dict[str, Any]:
        return {"found": self._side.kick(client)}

    @Unlisten.responder
    def _unlisten(self) -> dict[str, Any]:
        self._side.unlisten()
        return {}

    @Quit.responder
    def _quit(self) -> dict[str, Any]:
        self._side.quit()
        return {}

    def publish(self, event: Event) -> None:
        """Send an event.  One that is too large is logged and dropped."""
        data = json.dumps(to_json(event)).encode("ascii")
        if len(data) > MAX_VALUE:
            self._log.error(
                "the event {event} is too large to be sent", event=event.event
            )
            return
        self.callRemote(Publish, event=data)

    def count(self, counters: dict[str, Any]) -> None:
        """Send the counters."""
        self.callRemote(Counters, counters=json.dumps(counters).encode("ascii"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The host is gone."""
        super().connectionLost(reason)
        self._side.port_lost()


def _closing(result: Any, descriptor: int) -> Any:
    os.close(descriptor)
    return result
