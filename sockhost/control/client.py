# -*- test-case-name: tests.control.test_client -*-
"""
A blocking client of the control API.  It imports the standard library only, so
that a command that uses it starts fast.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

_T = TypeVar("_T")


class ControlError(Exception):
    """
    The host answered that it will not, or cannot.

    @ivar status: the HTTP status.
    @ivar kind: one word for programs, C{"no-such-unit"}.
    @ivar problems: of a configuration, a sentence each.
    """

    def __init__(
        self, status: int, kind: str, text: str, problems: tuple[str, ...] = ()
    ) -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind
        self.problems = problems


class HostNotRunning(Exception):
    """
    Nobody answers on the control socket, or nobody does any more.

    @ivar path: the socket that was looked at.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"no host answers on {path}: {why}")
        self.path = path


class HostSilent(Exception):
    """The host took the request and did not answer in time."""


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def target(*segments: str, **query: object) -> str:
    """
    Make the path of a request.

    @param segments: the parts of the path, in any characters.
    @param query: the parameters; C{None} leaves one out.
    """
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    given = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


class ControlClient:
    """
    Talks to the host whose control socket is at a path.  Each request is a
    connection of its own.

    @ivar path: the socket.
    @ivar timeout: seconds that the host may be silent, C{None} for no limit.
    """

    def __init__(self, path: str, timeout: float | None = 60.0) -> None:
        self.path = path
        self.timeout = timeout

    def request(self, method: str, path: str) -> Any:
        """
        Have the host do or tell something.

        @return: what its JSON says.
        @raise ControlError: it says that it will not.
        @raise HostNotRunning: nobody is there.
        @raise HostSilent: no answer came in time.
        """
        return json.loads(self.read(method, path))

    def read(self, method: str, path: str) -> bytes:
        """Like L{request}, for what is not JSON."""
        with closing(_UnixConnection(self.path, self.timeout)) as connection:
            return self._attempt(lambda: _ask(connection, method, path).read())

    def stream(self, path: str) -> Iterator[str]:
        """
        Be told of events, until the host ends the stream.  A host that keeps
        silent for longer than its keep-alives take is taken for gone.

        @return: the data of each event, as it comes.
        @raise ControlError: as for L{request}.
        @raise HostNotRunning: nobody is there, or the stream broke off.
        """
        with closing(_UnixConnection(self.path, self.timeout)) as connection:
            answer = self._attempt(lambda: _ask(connection, "GET", path))
            yield from self._events(answer)

    def _events(self, answer: HTTPResponse) -> Iterator[str]:
        data: list[str] = []
        for line in self._lines(answer):
            if line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif not line and data:
                yield "\n".join(data)
                data.clear()

    def _lines(self, answer: HTTPResponse) -> Iterator[str]:
        # Not readline(): to that, a stream that broke off has ended.
        rest = b""
        while read := self._attempt(lambda: answer.read1(65536)):
            *lines, rest = (rest + read).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)

    def _attempt(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except TimeoutError:
            raise HostSilent(
                f"the host on {self.path} did not answer within {self.timeout:g} s"
            ) from None
        except PermissionError:
            text = f"permission denied: {self.path}"
            raise ControlError(403, "forbidden", text) from None
        except (OSError, HTTPException) as error:
            raise HostNotRunning(self.path, _reason(error)) from error


def _ask(connection: HTTPConnection, method: str, path: str) -> HTTPResponse:
    connection.request(method, path)
    answer = connection.getresponse()
    if answer.status >= 400:
        raise refusal(answer.status, answer.read())
    return answer


def refusal(status: int, body: bytes) -> ControlError:
    try:
        said = json.loads(body)
        problems = tuple(said.get("problems", ()))
        return ControlError(status, said["kind"], said["error"], problems)
    except (ValueError, KeyError, AttributeError):
        return ControlError(status, "internal", f"the host answered {status}")


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, (ConnectionError, HTTPException)):
        return "the connection was closed before the answer was complete"
    return str(error)
