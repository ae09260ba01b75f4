"""
A process that serves the control API of a fake host on a real socket, for the
command line to talk to: C{python -m tests.functional._control_host RUN_DIR}.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet import reactor as _reactor

from sockhost.control.server import ControlServer
from sockhost.interfaces import UnitFailed
from tests.control.fakes import FakeHost


def main(run_dir: str) -> None:
    """Serve until C{shutdown} is asked for."""
    reactor: Any = _reactor
    host = FakeHost(reactor=reactor, run_dir=run_dir, log_dir=run_dir)
    host.at_once.update(start=None, reload=True, restart=UnitFailed("kv is broken"))
    host.at_once["reconfigure"] = {"added": ["new"], "removed": [], "changed": []}
    server = ControlServer(host, reactor, os.path.join(run_dir, "control.sock"))
    reactor.callWhenRunning(server.start)
    reactor.addSystemEventTrigger("before", "shutdown", server.stop)
    host.on_shutdown = reactor.stop
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1])
