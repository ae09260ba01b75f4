# -*- test-case-name: tests.keeper -*-
"""
How a unit is, for all who look at it.
"""

from __future__ import annotations

from sockhost.config import UnitConfig
from sockhost.interfaces import IUnit
from sockhost.keeper.core import Core
from sockhost.status import UnitStatus


def unit_status(core: Core, kind: str, config: UnitConfig | None) -> UnitStatus:
    """
    Describe a unit, now.

    @param config: says what it depends on.
    """
    return UnitStatus(
        name=core.name,
        kind=kind,
        goal=core.goal,
        state=core.state,
        since=core.since,
        last_exit=core.last_exit,
        restarts=core.restarts,
        next_try=core.next_try,
        reason=core.reason,
        description=config.description if config else "",
        after=config.after if config else (),
        requires=config.requires if config else (),
        uses=config.uses if config else (),
        details=_details(core, core.unit),
    )


def _details(core: Core, unit: IUnit | None) -> dict[str, object]:
    try:
        return dict(unit.status()) if unit is not None else {}
    except Exception:
        # A unit may be anybody's, and the status is shown in every change.
        core.log.failure("the status of {unit} failed", unit=core.name)
        return {}
