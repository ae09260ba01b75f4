"""Tests of the routes of the control API."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.config import Problem
from sockhost.control.api import detach
from sockhost.interfaces import (
    ConfigError,
    GoalChanged,
    IHost,
    UnitFailed,
)
from sockhost.sockets.credentials import PeerCredentials
from sockhost.status import to_json
from tests.control.case import APITestCase
from tests.control.fakes import FakeHost
from tests.control.wire import parse


class FakeHostTests(SynchronousTestCase):
    """The host of these tests is one."""

    def test_interface(self) -> None:
        """The fake provides the interface that the API relies on."""
        self.assertTrue(verifyObject(IHost, FakeHost()))


CLIENT: dict[str, object] = {
    "id": "2.7",
    "pid": 42,
    "uid": 1000,
    "gid": 100,
    "connected_at": 1.7e9,
    "frames_in": 3,
    "frames_out": 2,
    "bytes_in": 30,
    "bytes_out": 20,
    "in_flight": 1,
    "queued": 0,
}


class ClientTests(APITestCase):
    """The clients of a unit."""

    def setUp(self) -> None:
        """Let one unit have a client."""
        super().setUp()
        self.host.connected["kv"] = [CLIENT]

    def test_list(self) -> None:
        """The clients are a list of what the unit says of each."""
        answer = self.control.ask("GET", "/units/kv/clients")
        self.assertEqual((answer.status, answer.json()), (200, [CLIENT]))

    def test_kick(self) -> None:
        """A client is dropped, and who asked for it is written down."""
        answer = self.control.ask("POST", "/units/kv/clients/2.7/kick")
        self.assertEqual((answer.status, answer.json()), (200, {"done": True}))
        self.assertEqual(self.record(), [("kick", "kv client 2.7", "done")])
        self.assertIn("uid", self.host.calls[0].asked_by)

    def test_no_such_client(self) -> None:
        """A client that is not there is not found."""
        answer = self.control.ask("POST", "/units/kv/clients/9/kick")
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.json()["kind"], "no-such-client")

    def test_no_clients(self) -> None:
        """A unit of another kind has no clients, which is not the same as none."""
        for method, path in (
            ("GET", "/units/store/clients"),
            ("POST", "/units/store/clients/1/kick"),
        ):
            answer = self.control.ask(method, path)
            self.assertEqual(answer.status, 409)
            self.assertEqual(answer.json()["kind"], "no-clients")

    def test_no_such_unit(self) -> None:
        """An unknown unit is not found."""
        answer = self.control.ask("GET", "/units/x/clients")
        self.assertEqual((answer.status, answer.json()["kind"]), (404, "no-such-unit"))


class ReadingTests(APITestCase):
    """The routes that change nothing."""

    def test_host(self) -> None:
        """The host is described by the keys of its status, with its units."""
        said = self.control.ask("GET", "/host").json()
        self.assertEqual(said, json.loads(json.dumps(to_json(self.host.status()))))

    def test_units(self) -> None:
        """The units are a list."""
        said = self.control.ask("GET", "/units").json()
        self.assertEqual([unit["name"] for unit in said], ["kv", "store"])

    def test_metrics(self) -> None:
        """The numbers are text that Prometheus reads."""
        answer = self.control.ask("GET", "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertIn(b'sockhost_unit_goal{kind="socket",unit="store"}', answer.body)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; vers"))

    def test_no_metrics(self) -> None:
        """Where nobody writes any there is no such route."""
        self.control.api._exposition = None
        answer = self.control.ask("GET", "/metrics")
        self.assertEqual((answer.status, answer.json()["kind"]), (404, "no-such-route"))

    def test_unit(self) -> None:
        """A unit is described by the keys of its status."""
        said = self.control.ask("GET", "/units/kv").json()
        self.assertEqual(said, json.loads(json.dumps(to_json(self.host.units["kv"]))))

    def test_no_such_unit(self) -> None:
        """An unknown unit is not found, and the known ones are named."""
        for method, path in (
            ("GET", "/units/x"),
            ("GET", "/units/x/logs"),
            ("GET", "/units/x/logs?follow=1"),
            ("POST", "/units/x/start"),
            ("POST", "/units/x/stop?wait=0"),
        ):
            answer = self.control.ask(method, path)
            self.assertEqual(answer.status, 404)
            said = answer.json()
            self.assertEqual(said["kind"], "no-such-unit")
            self.assertEqual(
                said["error"], "no unit is called 'x'; units here: kv, store"
            )
        self.assertEqual(self.host.calls, [])
        self.assert_nothing_left()

    def test_routes(self) -> None:
        """The root lists every route with what it does."""
        routes = self.control.ask("GET", "/").json()["routes"]
        listed = {(route["method"], route["path"]) for route in routes}
        self.assertEqual(len(routes), 16)
        self.assertIn(("POST", "/units/<name>/restart"), listed)
        self.assertIn(("GET", "/events"), listed)
        self.assertTrue(all(route["what"] for route in routes))

    def test_no_such_route(self) -> None:
        """What is not there is not found, in JSON, and without redirects."""
        for path in ("/nothing", "/units/", "/units/kv/fly"):
            answer = self.control.ask("GET", path)
            self.assertEqual(
                (answer.status, answer.json()["kind"]), (404, "no-such-route")
            )

    def test_wrong_method(self) -> None:
        """A route by the wrong method says so in JSON, and which is right."""
        answer = self.control.ask("GET", "/units/kv/start")
        self.assertEqual((answer.status, answer.json()["kind"]), (405, "wrong-method"))
        self.assertEqual(answer.headers["Allow"], "POST")
        self.assertEqual(self.control.ask("POST", "/host").status, 405)

    def test_internal(self) -> None:
        """An error that nobody foresaw is answered, and logged once."""
        self.host.units["kv"] = None  # type: ignore[assignment]
        answer = self.control.ask("GET", "/units/kv")
        self.assertEqual((answer.status, answer.json()["kind"]), (500, "internal"))
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_head(self) -> None:
        """HEAD has no body, and does not keep a stream open."""
        self.assertEqual(self.control.ask("HEAD", "/units").body, b"")
        self.assertEqual(self.control.ask("HEAD", "/events").body, b"")
        self.assert_nothing_left()

    def test_forbidden(self) -> None:
        """Other users get nothing, and it is written down."""
        self.control.peer = PeerCredentials(pid=9, uid=65534, gid=65534)
        answer = self.control.ask("POST", "/units/kv/stop")
        self.assertEqual((answer.status, answer.json()["kind"]), (403, "forbidden"))
        self.assertEqual(self.host.calls, [])
        self.assertEqual(self.record(), [("POST", "/units/kv/stop", "forbidden")])


class ActingTests(APITestCase):
    """The routes that change units."""

    def test_waits(self) -> None:
        """The answer comes when it is done, and tells the unit as it is then."""
        for verb in ("start", "stop", "restart", "reload"):
            reader = self.control.begin("POST", f"/units/kv/{verb}")
            call = self.host.calls[-1]
            self.assertEqual((call.verb, call.name), (verb, "kv"))
            self.assertEqual(call.asked_by, "uid 0 pid 4242")
            self.assertEqual(reader.received(), b"")
            self.host.becomes("kv", restarts=7)
            call.done.callback(None)
            said = parse(reader.received()).json()
            self.assertTrue(said["done"])
            self.assertEqual(said["unit"]["restarts"], 7)
            self.assertEqual(self.record()[-1], (verb, "kv", "done"))
            reader.lose()
        self.assert_nothing_left()

    def test_reload_tells_how(self) -> None:
        """A reload tells whether the unit went on or was restarted."""
        for in_place in (True, False):
            self.host.at_once["reload"] = in_place
            said = self.control.ask("POST", "/units/kv/reload").json()
            self.assertIs(said["in_place"], in_place)

    def test_refusals(self) -> None:
        """A unit that does not get there is a conflict, with the reason."""
        for error, kind in (
            (UnitFailed("exit code 1"), "unit-failed"),
            (GoalChanged("stopped meanwhile"), "goal-changed"),
        ):
            self.host.at_once["start"] = error
            answer = self.control.ask("POST", "/units/kv/start")
            self.assertEqual(answer.status, 409)
            self.assertEqual(answer.json(), {"error": str(error), "kind": kind})
            self.assertEqual(self.record()[-1], ("start", "kv", f"{kind}: {error}"))

    def test_no_wait(self) -> None:
        """Without waiting the answer comes at once, and the outcome is recorded."""
        for body, query in ((b"", "?wait=0"), (b"wait=0", "")):
            answer = self.control.ask("POST", f"/units/kv/stop{query}", body)
            self.assertEqual((answer.status, answer.json()["done"]), (202, False))
            self.host.calls[-1].done.errback(UnitFailed("stuck"))
            self.assertEqual(self.record()[-1], ("stop", "kv", "unit-failed: stuck"))
        self.assert_nothing_left()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_timeout(self) -> None:
        """When the time is up the answer says so, and the work goes on."""
        reader = self.control.begin("POST", "/units/kv/stop?timeout=2.5")
        self.control.clock.advance(2.4)
        self.assertEqual(reader.received(), b"")
        self.control.clock.advance(0.2)
        answer = parse(reader.received())
        self.assertEqual((answer.status, answer.json()["kind"]), (504, "timeout"))
        reader.lose()
        self.assert_nothing_left()
        self.assertEqual(self.record(), [])
        self.host.calls[0].done.callback(None)
        self.assertEqual(self.record(), [("stop", "kv", "done")])

    def test_gone_while_waiting(self) -> None:
        """A client that goes away leaves nothing, and the work goes on."""
        reader = self.control.begin("POST", "/units/kv/restart")
        reader.lose()
        self.assert_nothing_left()
        self.assertFalse(self.host.calls[0].done.called)
        self.host.calls[0].done.errback(UnitFailed("no"))
        self.assertEqual(self.record(), [("restart", "kv", "unit-failed: no")])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_bad_parameters(self) -> None:
        """A parameter that makes no sense is refused before anything is done."""
        for query in ("wait=maybe", "timeout=soon", "timeout=-1", "timeout=nan"):
            answer = self.control.ask("POST", f"/units/kv/stop?{query}")
            self.assertEqual(
                (answer.status, answer.json()["kind"]), (400, "bad-request")
            )
        self.assertEqual(self.host.calls, [])


class HostTests(APITestCase):
    """The routes that change the host."""

    def test_reconfigure(self) -> None:
        """What changed is told by name."""
        changes = {"added": ("a",), "removed": (), "changed": (), "unchanged": ("b",)}
        self.host.at_once["reconfigure"] = changes
        said = self.control.ask("POST", "/reconfigure").json()
        self.assertEqual(
            said, {"added": ["a"], "removed": [], "changed": [], "unchanged": ["b"]}
        )
        self.assertEqual(self.record(), [("reconfigure", "host", "done")])

    def test_bad_configuration(self) -> None:
        """A bad configuration is told problem by problem."""
        problem = Problem("a.toml", "unit.kv", 1, "expected a table")
        self.host.at_once["reconfigure"] = ConfigError([problem])
        answer = self.control.ask("POST", "/reconfigure")
        self.assertEqual((answer.status, answer.json()["kind"]), (422, "config"))
        self.assertEqual(answer.json()["problems"], [str(problem)])

    def test_reopen_logs(self) -> None:
        """The logs are opened anew before the answer."""
        self.assertEqual(
            self.control.ask("POST", "/reopen-logs").json(), {"done": True}
        )
        self.assertEqual(self.host.reopened, 1)
        self.assertEqual(self.record(), [("reopen-logs", "host", "done")])

    def test_shutdown(self) -> None:
        """The answer is sent before the stop begins that ends its connection."""
        seen: list[bytes] = []
        reader = self.control.connect()
        self.host.on_shutdown = lambda: seen.append(reader.received())
        reader.send("POST", "/shutdown")
        (received,) = seen
        answer = parse(received)
        self.assertEqual((answer.status, answer.json()), (202, {"done": False}))
        self.assertEqual(self.host.calls[0].asked_by, "uid 0 pid 4242")
        self.assertEqual(self.record(), [("shutdown", "host", "begun")])


class DetachTests(SynchronousTestCase):
    """Waiting can be given up without giving up the work."""

    def test_result(self) -> None:
        """The result is passed on and told."""
        told: list[object] = []
        work: Deferred[int] = Deferred()
        waiting = detach(work, told.append)
        work.callback(3)
        self.assertEqual(self.successResultOf(waiting), 3)
        self.assertEqual(told, [3])

    def test_failure(self) -> None:
        """So is a failure."""
        told: list[object] = []
        work: Deferred[int] = Deferred()
        waiting = detach(work, told.append)
        work.errback(UnitFailed("no"))
        self.failureResultOf(waiting, UnitFailed)
        self.assertIsInstance(told[0], Failure)

    def test_cancel(self) -> None:
        """Giving up leaves the work alone, and its end is still told."""
        told: list[object] = []
        work: Deferred[int] = Deferred()
        waiting = detach(work, told.append)
        waiting.addTimeout(1, clock := Clock())
        clock.advance(2)
        self.failureResultOf(waiting)
        self.assertFalse(work.called)
        work.callback(3)
        self.assertEqual(told, [3])
