"""
A host for one unit with workers, as a program:
C{python -m tests.workers.lone_host DIRECTORY HANDLER WORKERS}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from sockhost.workers.pool import WorkerSocketUnit
from tests.workers.hosts import socket_unit


async def run(reactor: Any, directory: str, handler: str, workers: int) -> None:
    """Start the unit, say so on stdout, and stay."""
    host, config = socket_unit(reactor, directory, handler=handler, workers=workers)
    unit = WorkerSocketUnit("kv", config, host)
    await unit.start(lambda failure: failure.printTraceback())
    print(json.dumps(unit.status()), flush=True)
    await Deferred()


if __name__ == "__main__":
    task.react(
        lambda reactor: Deferred.fromCoroutine(
            run(reactor, sys.argv[1], sys.argv[2], int(sys.argv[3]))
        )
    )
