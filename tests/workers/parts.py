"""
What stands in for the parts of a socket unit with workers.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from sockhost.interfaces import IUnit, UnitLost


@implementer(IUnit)
@define(eq=False)
class Part:
    """A prototype or a worker that does what the test says."""

    name: str
    journal: list[str]
    index: int = 0
    timeout: float | None = None
    starting: Deferred[None] = field(factory=Deferred)
    lost: Any = None
    stopping: Deferred[UnitLost | None] | None = None
    hooked: Deferred[None] = field(factory=lambda: succeed(None))
    described: Deferred[Any] | None = None
    serving: Deferred[None] | None = None
    starts: int = 0

    def start(self, lost: Any) -> Deferred[None]:
        """Begin to start."""
        self.journal.append(f"start {self.name}")
        self.starts += 1
        self.lost, self.starting = lost, Deferred()
        return self.starting

    def stop(self) -> Deferred[UnitLost | None]:
        """Stop."""
        self.journal.append(f"stop {self.name}")
        return self.stopping or succeed(None)

    def abort(self) -> None:
        """Hurry."""
        self.journal.append(f"abort {self.name}")

    def reload(self, config: Any) -> Deferred[bool]:
        """Never."""
        return succeed(False)

    def status(self) -> dict[str, object]:
        """There is only one number."""
        return {"pid": 1}

    def serve(self, listener: int) -> Deferred[None]:
        """Accept."""
        self.journal.append(f"serve {self.name} on {listener}")
        return self.serving or succeed(None)

    def unlisten(self) -> Deferred[None]:
        """Accept no more."""
        self.journal.append(f"unlisten {self.name}")
        return succeed(None)

    def clients(self) -> Deferred[Any]:
        """One is connected to each."""
        return self.described or succeed([{"id": "7", "pid": 1}])

    def kick(self, client: str) -> Deferred[bool]:
        """Drop one."""
        self.journal.append(f"kick {client} of {self.name}")
        return succeed(client == "7")

    def hook(self, name: str) -> Deferred[None]:
        """Run a hook."""
        self.journal.append(f"{name} {self.name}")
        return self.hooked


@define
class Bound:
    """A bound socket."""

    journal: list[str]

    def fileno(self) -> int:
        """Its number."""
        return 9

    def unlink(self) -> None:
        """Remove the path."""
        self.journal.append("unlink")

    def close(self) -> None:
        """Close it."""
        self.journal.append("close")


class Output:
    """A log file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.done: list[str] = []

    def reopen(self) -> None:
        """Open it again."""
        self.done.append("reopen")

    def close(self) -> None:
        """Close it."""
        self.done.append("close")
