"""
A host for one unit, as far as workers need one.
"""

from __future__ import annotations

import os
from typing import Any

from attrs import define, field
from zope.interface import implementer
from zope.interface.verify import verifyClass

from sockhost.config import UnitConfig
from sockhost.interfaces import IUnitHost, IUnitKind, NoSuchUnit, SockhostError
from sockhost.sockets.settings import SocketConfig
from sockhost.status import Event


@implementer(IUnitHost)
@define(eq=False)
class LoneHost:
    """
    Knows the units and kinds that it is given, and remembers the events.
    """

    reactor: Any
    run_dir: str
    log_dir: str
    config_dir: str
    log_level: str = "info"
    units: dict[str, UnitConfig] = field(factory=dict)
    kinds: dict[str, IUnitKind] = field(factory=dict)
    events: list[Event] = field(factory=list)

    def use(self, name: str) -> Any:
        """There is nothing to use."""
        raise NoSuchUnit(name)

    def publish(self, event: Event) -> None:
        """Remember an event."""
        self.events.append(event)

    def child_kind(self, name: str) -> IUnitKind:
        """Get one of the kinds."""
        if name not in self.kinds:
            raise SockhostError(f"there is no kind {name!r}")
        return self.kinds[name]

    def unit_config(self, name: str) -> UnitConfig:
        """Get one of the units."""
        if name not in self.units:
            raise NoSuchUnit(name)
        return self.units[name]


verifyClass(IUnitHost, LoneHost)


def socket_unit(
    reactor: Any, directory: str, uses: tuple[str, ...] = (), **keys: Any
) -> tuple[LoneHost, SocketConfig]:
    """
    Make a host whose directories are one, and the configuration of its unit
    C{kv}.
    """
    config = SocketConfig(path=os.path.join(directory, "kv.sock"), **keys)
    host = LoneHost(reactor, directory, directory, directory)
    host.units["kv"] = UnitConfig(
        name="kv", kind="socket", own=config, table={}, uses=uses
    )
    return host, config
