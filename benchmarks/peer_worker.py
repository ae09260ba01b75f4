"""
What a peer runs in the place of one of the quickstart's workers: a process of
its own that loads Twisted and the handler's module and listens on a socket,
C{python -m benchmarks.peer_worker PATH}.  It answers nothing.
"""

from __future__ import annotations

import importlib
import sys

from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.protocol import Factory, Protocol


def main(path: str) -> None:
    """Listen until killed."""
    from twisted.internet import reactor

    importlib.import_module("examples.quickstart.quickstart")
    endpoint = UNIXServerEndpoint(reactor, path)
    listening = endpoint.listen(Factory.forProtocol(Protocol))
    listening.addErrback(lambda failure: sys.exit(str(failure.value)))
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1])
