"""
What holds for a client on a transport holds for one in a hub: the tests of
sessions, of the server and of the limits, once more, in a hub.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any
from unittest import TestResult as Result
from unittest import mock

from tests.sockets import (
    test_batch,
    test_ends,
    test_half_close,
    test_holdings,
    test_patience,
    test_peer,
    test_server,
    test_session,
    test_session_end,
)
from tests.sockets.hub_fakes import HubServed, HubTestCase


def _in_hub(module: ModuleType, case: type[Any], *but: str) -> type[Any]:
    """
    Make the same test case with clients in a hub.

    @param but: tests of what a hub does not have, or of what it does at the end
        of a turn and not at once.
    """

    class InHub(HubTestCase, case):  # type: ignore[misc]
        def run(self, result: Result | None = None) -> Result | None:
            with mock.patch.object(module, "Served", HubServed):
                return super().run(result)

    for name in but:
        setattr(InHub, name, _elsewhere)
    InHub.__name__ = InHub.__qualname__ = f"{case.__name__}InHub"
    InHub.__module__ = __name__
    InHub.__doc__ = case.__doc__
    return InHub


def _elsewhere(_: object) -> None:
    """Not here."""


_elsewhere.skip = "it is tested in test_hubconnection"  # type: ignore[attr-defined]

ConnectedTests = _in_hub(test_session, test_session.ConnectedTests)
ReceivedTests = _in_hub(test_session, test_session.ReceivedTests)
ClientTests = _in_hub(test_session, test_session.ClientTests)
DisconnectedTests = _in_hub(test_session_end, test_session_end.DisconnectedTests)
CancellerTests = _in_hub(test_session_end, test_session_end.CancellerTests)
BackPressureTests = _in_hub(test_session_end, test_session_end.BackPressureTests)
FrameServerTests = _in_hub(
    test_server, test_server.FrameServerTests, "test_interface", "test_transport"
)
DrainTests = _in_hub(test_server, test_server.DrainTests)
BatchTests = _in_hub(test_batch, test_batch.BatchTests, "test_some_answers")
DropTests = _in_hub(test_half_close, test_half_close.DropTests)
FinishTests = _in_hub(test_half_close, test_half_close.FinishTests, "test_interface")
ServerHoldingsTests = _in_hub(
    test_holdings,
    test_holdings.ServerHoldingsTests,
    "test_request",
    "test_many_requests",
    "test_tight",
)
EndsTests = _in_hub(test_ends, test_ends.EndsTests)
NoTimeoutTests = _in_hub(test_patience, test_patience.NoTimeoutTests)
IdleTests = _in_hub(test_patience, test_patience.IdleTests)
FrameTests = _in_hub(test_patience, test_patience.FrameTests)
StallTests = _in_hub(test_patience, test_patience.StallTests)
CounterTests = _in_hub(test_peer, test_peer.CounterTests, "test_counters")
