# -*- test-case-name: tests.control.test_answers -*-
"""
What requests and responses are made of: parameters in, JSON out, and every
error as one JSON object with a status that says whose fault it is.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from sockhost.interfaces import (
    ConfigError,
    GoalChanged,
    NoClients,
    NoSuchClient,
    NoSuchUnit,
    SockhostError,
)

_log = Logger()


class BadRequest(SockhostError):
    """A parameter of the request cannot be used."""


class Forbidden(SockhostError):
    """The user at the other end may not use this host."""


class StillWaiting(SockhostError):
    """What was asked for was not done in time.  It goes on all the same."""


@frozen
class Answer:
    """
    An error as the client gets it.

    @ivar status: the HTTP status.
    @ivar kind: one word for programs.
    @ivar text: a sentence for people.
    @ivar problems: of a configuration, a sentence each.
    """

    status: int
    kind: str
    text: str
    problems: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """The JSON object of this error."""
        body: dict[str, Any] = {"error": self.text, "kind": self.kind}
        return {**body, "problems": list(self.problems)} if self.problems else body


# The first class that fits decides.
_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (NoSuchUnit, 404, "no-such-unit"),
    (NoSuchClient, 404, "no-such-client"),
    (NoClients, 409, "no-clients"),
    (GoalChanged, 409, "goal-changed"),
    (BadRequest, 400, "bad-request"),
    (Forbidden, 403, "forbidden"),
    (StillWaiting, 504, "timeout"),
    (ConfigError, 422, "config"),
    (SockhostError, 409, "unit-failed"),
)


def to_answer(error: BaseException | None) -> Answer:
    """
    Say how an exception is answered.  One that sockhost did not raise on
    purpose is C{internal}: its text is told, its traceback is not.
    """
    if isinstance(error, HTTPException):
        return _http_answer(error)
    for kind, status, word in _KINDS:
        if isinstance(error, kind):
            problems = getattr(error, "problems", ())
            return Answer(status, word, str(error), tuple(map(str, problems)))
    text = f"{type(error).__name__}: {error} (the host's log has the traceback)"
    return Answer(500, "internal", text)


def _http_answer(error: HTTPException) -> Answer:
    word = {404: "no-such-route", 405: "wrong-method"}.get(error.code or 0)
    if word is None:
        return Answer(error.code or 400, "bad-request", str(error))
    return Answer(error.code or 400, word, f"{error.name}; GET / lists the routes")


def write_json(request: Request, value: object, status: int = 200) -> bytes:
    """
    Set the headers of a JSON response.

    @return: its body.  What C{json} cannot write of it is written as C{str}
        would, so that a unit with odd details does not hide the others.
    """
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace") + b"\n"


def write_error(request: Request, failure: Failure) -> bytes:
    """
    Set the headers of an error response.  A failure that nobody foresaw is
    logged here, with its traceback.

    @return: its body.
    """
    answer = to_answer(failure.value)
    if answer.kind == "internal":
        _log.failure(
            "{method} {uri} failed",
            failure,
            method=request.method.decode("ascii", "replace"),
            uri=request.uri.decode("ascii", "replace"),
        )
    if isinstance(failure.value, MethodNotAllowed):
        request.setHeader(b"allow", ", ".join(_allowed(failure.value)).encode())
    return write_json(request, answer.body(), answer.status)


def _allowed(error: MethodNotAllowed) -> list[str]:
    return sorted(error.valid_methods or ())


def parameter(request: Request, name: str, default: str) -> str:
    """Look up a parameter in the query or in a form body."""
    values = (request.args or {}).get(name.encode())
    return values[-1].decode("utf-8", "replace") if values else default


def flag(request: Request, name: str, default: bool) -> bool:
    """
    Read a parameter that is C{0} or C{1}.

    @raise BadRequest: it is something else.
    """
    text = parameter(request, name, "1" if default else "0")
    if text not in ("0", "1"):
        raise BadRequest(f"{name}={text}: expected 0 or 1")
    return text == "1"


def number(request: Request, name: str, default: int, most: int) -> int:
    """
    Read a parameter that is a whole number from 0 to C{most}.

    @raise BadRequest: it is something else.
    """
    text = parameter(request, name, str(default))
    digits = text.isascii() and text.isdigit() and len(text) <= 12
    if not digits or int(text) > most:
        raise BadRequest(f"{name}={text}: expected a whole number from 0 to {most}")
    return int(text)


def seconds(request: Request, name: str, default: float, most: float) -> float:
    """
    Read a parameter that is a number of seconds from 0 to C{most}.

    @raise BadRequest: it is something else.
    """
    text = parameter(request, name, str(default))
    problem = f"{name}={text}: expected seconds from 0 to {most:g}"
    try:
        value = float(text)
    except ValueError:
        raise BadRequest(problem) from None
    # Written so that NaN, which compares false with everything, is refused.
    if not 0 <= value <= most:
        raise BadRequest(problem)
    return value
