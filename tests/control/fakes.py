"""
A host without units behind it: it keeps what it was asked for, and the test
says how that ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, execute, fail
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.config import UnitConfig
from sockhost.interfaces import (
    IHost,
    INotifier,
    IUnitKind,
    NoClients,
    NoSuchClient,
    NoSuchUnit,
    SockhostError,
)
from sockhost.status import Event, Goal, HostStatus, Phase, State, UnitStatus


def unit(name: str, **more: Any) -> UnitStatus:
    """Make the status of a unit that is up."""
    given: dict[str, Any] = {
        "kind": "socket",
        "goal": Goal.UP,
        "state": State.UP,
        "since": 1000.0,
        "details": {"path": f"/run/{name}.sock"},
    }
    return UnitStatus(name=name, **{**given, **more})


@define
class Call:
    """
    One thing that the host was asked for.

    @ivar done: how it ends is for the test to say.
    """

    verb: str
    name: str | None
    asked_by: str
    done: Deferred[Any] = field(factory=Deferred)


@implementer(IHost)
@define(eq=False)
class FakeHost:
    """
    @ivar units: what C{status} tells.
    @ivar connected: the clients of the units that can have any.
    @ivar calls: what was asked for, in order.
    @ivar at_once: outcomes for calls that need not wait for the test: a value
        or an exception for each verb.
    @ivar notifiers: who is subscribed now.
    """

    reactor: Any = None
    run_dir: str = "/nowhere"
    log_dir: str = "/nowhere"
    config_dir: str = "/nowhere"
    log_level: str = "info"
    units: dict[str, UnitStatus] = field(
        factory=lambda: {name: unit(name) for name in ("kv", "store")}
    )
    connected: dict[str, list[dict[str, object]]] = field(factory=dict)
    calls: list[Call] = field(factory=list)
    at_once: dict[str, Any] = field(factory=dict)
    notifiers: list[INotifier] = field(factory=list)
    reopened: int = 0
    problems: tuple[str, ...] = ()
    refuses_subscribers: bool = False
    on_shutdown: Callable[[], object] = lambda: None

    def use(self, name: str) -> Any:
        raise NoSuchUnit(name)

    def publish(self, event: Event) -> None:
        for notifier in tuple(self.notifiers):
            with suppress(Exception):
                notifier.notify(event)

    def child_kind(self, name: str) -> IUnitKind:
        raise SockhostError(f"there is no kind {name}")

    def unit_config(self, name: str) -> Any:
        self._known(name)
        kind = self.units[name].kind
        return UnitConfig(name=name, kind=kind, own=None, table={})

    def status(self) -> HostStatus:
        return HostStatus(
            name="fake",
            version="0.1.0",
            pid=os.getpid(),
            phase=Phase.READY,
            started=900.0,
            config="/etc/fake.toml",
            run_dir=self.run_dir,
            control=f"{self.run_dir}/control.sock",
            problems=self.problems,
            units=tuple(self.units.values()),
        )

    def unit_status(self, name: str) -> UnitStatus:
        self._known(name)
        return self.units[name]

    def log_path(self, name: str) -> str:
        self._known(name)
        return f"{self.log_dir}/{name}.log"

    def start(self, name: str, asked_by: str) -> Deferred[None]:
        return self._asked("start", name, asked_by)

    def stop(self, name: str, asked_by: str) -> Deferred[None]:
        return self._asked("stop", name, asked_by)

    def restart(self, name: str, asked_by: str) -> Deferred[None]:
        return self._asked("restart", name, asked_by)

    def reload(self, name: str, asked_by: str) -> Deferred[bool]:
        return self._asked("reload", name, asked_by)

    def clients(self, name: str) -> Deferred[Sequence[Mapping[str, object]]]:
        return execute(self._connected, name)

    def kick(self, name: str, client: str, asked_by: str) -> Deferred[None]:
        self.calls.append(Call("kick", f"{name} {client}", asked_by))
        return execute(self._kick, name, client)

    def reconfigure(self, asked_by: str) -> Deferred[Mapping[str, Sequence[str]]]:
        return self._asked("reconfigure", None, asked_by)

    def reopen_logs(self) -> None:
        self.reopened += 1

    def shutdown(self, asked_by: str) -> None:
        self._asked("shutdown", None, asked_by)
        self.on_shutdown()

    def subscribe(self, notifier: INotifier) -> Callable[[], None]:
        if self.refuses_subscribers:
            raise RuntimeError("no subscriptions today")
        self.notifiers.append(notifier)

        def end() -> None:
            if notifier in self.notifiers:
                self.notifiers.remove(notifier)

        return end

    def becomes(self, name: str, **changes: Any) -> None:
        """Change what is told of a unit."""
        self.units[name] = evolve(self.units[name], **changes)

    def _connected(self, name: str) -> Sequence[Mapping[str, object]]:
        self._known(name)
        found = self.connected.get(name)
        if found is None:
            raise NoClients(name)
        return found

    def _kick(self, name: str, client: str) -> None:
        if client not in [one["id"] for one in self._connected(name)]:
            raise NoSuchClient(name, client)

    def _known(self, name: str) -> None:
        if name not in self.units:
            raise NoSuchUnit(name, tuple(self.units))

    def _asked(self, verb: str, name: str | None, asked_by: str) -> Deferred[Any]:
        if name is not None and name not in self.units:
            return fail(NoSuchUnit(name, tuple(self.units)))
        call = Call(verb, name, asked_by)
        self.calls.append(call)
        if verb in self.at_once:
            outcome = self.at_once[verb]
            failed = isinstance(outcome, Exception)
            call.done.callback(Failure(outcome) if failed else outcome)
        return call.done
