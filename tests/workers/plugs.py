"""
Kinds and handlers for the unit tests of what runs in a worker.
"""

from __future__ import annotations

from typing import Any

from attrs import define, frozen
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from sockhost.interfaces import (
    IUnit,
    IUnitHost,
    IUnitKind,
    IUsableUnit,
    UnitFailed,
    UnitLost,
)

journal: list[Any] = []
"""What has happened; each test begins with it empty."""

under_way: list[Deferred[None]] = []
"""Hooks that were called and have not ended."""


@frozen
class StoreConfig:
    """
    The keys of a store.

    @ivar start: C{"up"}, C{"never"} or C{"broken"}.
    """

    url: str
    start: str = "up"


@implementer(IUsableUnit)
@define(eq=False)
class Store:
    """A unit that a handler uses."""

    config: StoreConfig

    def client(self) -> object:
        """What handlers get."""
        return f"client of {self.config.url}"

    def start(self, lost: Any) -> Deferred[None]:
        """Come up, or do not."""
        if self.config.start == "never":
            return Deferred()
        if self.config.start == "broken":
            return fail(UnitFailed("no server"))
        return succeed(None)

    def stop(self) -> Deferred[UnitLost | None]:
        """Stop."""
        journal.append("store stopped")
        return succeed(None)

    def abort(self) -> None:
        """Nothing takes long."""

    def reload(self, config: Any) -> Deferred[bool]:
        """Never."""
        return succeed(False)

    def status(self) -> dict[str, object]:
        """There is nothing to say."""
        return {}


@implementer(IUnitKind)
class StoreKind:
    """Makes stores."""

    name = "store"
    config_class = StoreConfig
    portable = True

    def make(self, name: str, config: StoreConfig, host: IUnitHost) -> IUnit:
        """Make one."""
        return Store(config)


class Handler:
    """
    A handler that writes down what happens to it.
    """

    def __init__(
        self, host: IUnitHost, greeting: str = "hello", fails: str = ""
    ) -> None:
        self.host = host
        self.fails = fails
        journal.append(greeting)

    def _hook(self, name: str) -> None:
        journal.append(name)
        if self.fails == name:
            raise ValueError(f"{name} is no good")

    def startup(self) -> Deferred[None] | None:
        """Hook."""
        self._hook("startup")
        return Deferred() if self.fails == "hang" else None

    def shutdown(self) -> None:
        """Hook."""
        self._hook("shutdown")

    def reconfigure(self) -> Deferred[None] | None:
        """Hook; slow ones are in L{under_way}."""
        self._hook("reconfigure")
        if self.fails == "exit":
            raise SystemExit(3)
        if self.fails != "slow":
            return None
        under_way.append(Deferred())
        return under_way[-1]

    def received(self, client: Any, frame: bytes) -> bytes:
        """Echo."""
        return frame
