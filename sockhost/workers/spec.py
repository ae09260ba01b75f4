# -*- test-case-name: tests.workers.test_spec -*-
"""
All that a prototype and its workers are told, as one value that can be sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, field, frozen
from cattrs.preconf.json import make_converter

from sockhost.config import RestartPolicy
from sockhost.interfaces import IUnitHost
from sockhost.sockets.hub import IHubReactor
from sockhost.sockets.settings import SocketConfig

_converter = make_converter()


@frozen(kw_only=True)
class UsedUnit:
    """
    A unit that the handler uses, to be made again in each worker.

    @ivar kind: the name of its kind.
    @ivar factory: C{"module:Class"} of its kind.
    @ivar table: its table, as plain values.
    """

    name: str
    kind: str
    factory: str
    table: Mapping[str, Any]
    uses: tuple[str, ...] = ()
    policy: RestartPolicy = RestartPolicy()


@frozen(kw_only=True)
class WorkerSpec:
    """
    What the workers of one unit are.

    @ivar unit: the name of the unit.
    @ivar socket: the table of the socket, as plain values.
    @ivar hub_reactor: whether they run on the reactor of L{hubreactor
        <sockhost.sockets.hubreactor>}, as the host does.
    """

    unit: str
    socket: Mapping[str, Any]
    run_dir: str
    log_dir: str
    config_dir: str
    log_level: str = "info"
    hub_reactor: bool = False
    uses: tuple[UsedUnit, ...] = field(default=())

    def title(self, role: str) -> str:
        """The title of a process: C{"sockhost: kv worker 1"}."""
        return f"sockhost: {self.unit} {role}"

    def dumps(self) -> bytes:
        """Make bytes of it."""
        return _converter.dumps(self).encode("utf-8")

    @classmethod
    def loads(cls, data: bytes) -> WorkerSpec:
        """Make it of its bytes."""
        return _converter.loads(data, cls)


def make_spec(name: str, config: SocketConfig, host: IUnitHost) -> WorkerSpec:
    """
    Say what the workers of a unit are.

    @param name: the unit's name.
    @param host: knows the units that its handler uses.
    """
    return WorkerSpec(
        unit=name,
        # A table has no keys without a value, and arrays are what lists become.
        socket=asdict(
            config,
            filter=lambda _attribute, value: value is not None,
            value_serializer=lambda _config, _attribute, value: (
                list(value) if isinstance(value, tuple) else value
            ),
        ),
        run_dir=host.run_dir,
        log_dir=host.log_dir,
        config_dir=host.config_dir,
        log_level=host.log_level,
        hub_reactor=IHubReactor.providedBy(host.reactor),
        uses=_used_units(host.unit_config(name).uses, host),
    )


def _used_units(names: tuple[str, ...], host: IUnitHost) -> tuple[UsedUnit, ...]:
    found = [_used_unit(name, host) for name in names]
    return tuple(used for used in found if used is not None)


def _used_unit(name: str, host: IUnitHost) -> UsedUnit | None:
    config = host.unit_config(name)
    kind = host.child_kind(config.kind)
    if not kind.portable:
        return None
    made_by = type(kind)
    return UsedUnit(
        name=name,
        kind=config.kind,
        factory=f"{made_by.__module__}:{made_by.__qualname__}",
        table=config.table,
        uses=config.uses,
        policy=config.policy,
    )
