"""Tests of what requests and responses of the control API are made of."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyRequest
from werkzeug.exceptions import MethodNotAllowed, NotFound

from sockhost.config import Problem
from sockhost.control.answers import (
    BadRequest,
    Forbidden,
    StillWaiting,
    flag,
    number,
    parameter,
    seconds,
    to_answer,
    write_error,
    write_json,
)
from sockhost.interfaces import (
    ConfigError,
    GoalChanged,
    NoSuchUnit,
    NotReady,
    UnitFailed,
)


def request(**args: bytes) -> Request:
    """Make a request with parameters."""
    dummy = DummyRequest([b""])
    dummy.args = {name.encode(): [value] for name, value in args.items()}
    dummy.method = b"GET"
    return cast(Request, dummy)


class ErrorTests(SynchronousTestCase):
    """Each error has its status and its word."""

    def test_kinds(self) -> None:
        """Every exception on purpose has a status that says whose fault it is."""
        expected: list[tuple[Exception, int, str]] = [
            (NoSuchUnit("kv"), 404, "no-such-unit"),
            (UnitFailed("gave up"), 409, "unit-failed"),
            (NotReady("too slow"), 409, "unit-failed"),
            (GoalChanged("stopped"), 409, "goal-changed"),
            (BadRequest("lines=x"), 400, "bad-request"),
            (Forbidden("no"), 403, "forbidden"),
            (StillWaiting("late"), 504, "timeout"),
            (NotFound(), 404, "no-such-route"),
            (MethodNotAllowed(["GET"]), 405, "wrong-method"),
            (ZeroDivisionError("oops"), 500, "internal"),
        ]
        for error, status, kind in expected:
            answer = to_answer(error)
            self.assertEqual((answer.status, answer.kind), (status, kind))
            self.assertEqual(set(answer.body()), {"error", "kind"})

    def test_problems(self) -> None:
        """A bad configuration is told problem by problem."""
        problem = Problem("a.toml", "unit.kv.path", 3, "expected a string")
        answer = to_answer(ConfigError([problem, problem]))
        self.assertEqual((answer.status, answer.kind), (422, "config"))
        self.assertEqual(answer.body()["problems"], [str(problem)] * 2)

    def test_internal_is_logged(self) -> None:
        """What nobody foresaw is logged, and its type and text are told."""
        asked = request()
        body = write_error(asked, Failure(ZeroDivisionError("oops")))
        self.assertIn(b"ZeroDivisionError: oops", body)
        self.assertEqual(cast(Any, asked).responseCode, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_foreseen_is_not_logged(self) -> None:
        """An error on purpose is no noise in the log."""
        write_error(request(), Failure(NoSuchUnit("kv")))
        self.assertEqual(self.flushLoggedErrors(), [])


class WriteJSONTests(SynchronousTestCase):
    """JSON is written whatever a unit has to say."""

    def test_odd_values(self) -> None:
        """A value that JSON does not know is written as its text."""
        body = write_json(request(), {"a": {1}, "b": "é\ud800"})
        self.assertEqual(body, b'{\n  "a": "{1}",\n  "b": "\xc3\xa9?"\n}\n')


class ParameterTests(SynchronousTestCase):
    """Parameters are read strictly."""

    def test_parameter(self) -> None:
        """A parameter is text, and has a default."""
        self.assertEqual(parameter(request(a=b"\xc3\xa9"), "a", "x"), "é")
        self.assertEqual(parameter(request(), "a", "x"), "x")

    def test_flag(self) -> None:
        """A flag is 0 or 1."""
        self.assertTrue(flag(request(a=b"1"), "a", False))
        self.assertFalse(flag(request(a=b"0"), "a", True))
        self.assertTrue(flag(request(), "a", True))
        error = self.assertRaises(BadRequest, flag, request(a=b"yes"), "a", True)
        self.assertEqual(str(error), "a=yes: expected 0 or 1")

    def test_number(self) -> None:
        """A number is whole and within its bounds."""
        self.assertEqual(number(request(a=b"007"), "a", 1, 9), 7)
        for bad in (b"-1", b"10", b"1.0", b"", b"x", b"\xc2\xb2", b"0" * 20 + b"99"):
            error = self.assertRaises(BadRequest, number, request(a=bad), "a", 1, 9)
            self.assertIn("expected a whole number from 0 to 9", str(error))

    def test_seconds(self) -> None:
        """Seconds are finite and within their bounds."""
        self.assertEqual(seconds(request(a=b"0.5"), "a", 1, 9), 0.5)
        for bad in (b"-1", b"10", b"nan", b"inf", b"", b"1s"):
            error = self.assertRaises(BadRequest, seconds, request(a=bad), "a", 1, 9)
            self.assertIn("expected seconds from 0 to 9", str(error))

    @given(st.binary())
    def test_any_bytes(self, value: bytes) -> None:
        """Whatever is sent is either read or refused."""
        asked = request(a=value)
        for read in (
            lambda: flag(asked, "a", True),
            lambda: number(asked, "a", 0, 100),
            lambda: seconds(asked, "a", 0, 100),
        ):
            try:
                self.assertTrue(0 <= read() <= 100)
            except BadRequest as error:
                self.assertIn("expected", str(error))
