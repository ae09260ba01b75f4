"""
The same helpers in the hands of those who write tests for pytest-twisted.

C{trial} runs only the classes here and skips the functions silently; C{pytest}
runs all, in the order of the file: functions before and after classes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import TestCase

from sockhost.host import ExitStatus
from sockhost.testing.contracts import handler_contract_tests
from sockhost.testing.host import RunningHost, running_host
from sockhost.testing.mixed import rest_reactor
from sockhost.testing.sockets import connected_pair

CONFIG = """
[unit.echo]
kind = "socket"
path = "{run_dir}/echo.sock"
handler = "echo_for_pytest:Echo"
"""
MODULE = """
class Echo:
    def __init__(self, host):
        pass

    def received(self, client, frame):
        return frame
"""
FILES = {"echo_for_pytest.py": MODULE}


class Cleanups:
    """Has C{addCleanup}, as a test case of trial has."""

    def __init__(self) -> None:
        self.all: list[Callable[[], Any]] = []

    def addCleanup(self, f: Callable[..., Any], /, *args: Any, **how: Any) -> None:
        """Call it when the test has ended."""
        self.all.append(lambda: f(*args, **how))

    async def clean_up(self) -> None:
        """Call all, the last one first."""
        while self.all:
            await maybeDeferred(self.all.pop())


@pytest.fixture(autouse=True)
def _rest() -> Iterator[None]:
    """Let trial and pytest-twisted take turns."""
    yield
    rest_reactor()


@pytest.fixture
def cleanups() -> Generator[Cleanups, None, None]:
    """What a test of trial brings with it."""
    made = Cleanups()
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.clean_up()))


async def ask(host: RunningHost) -> bytes:
    """Ask the host's handler."""
    client = await host.connect("echo.sock")
    answer = await client.request(b"hello")
    await client.close()
    return answer


class Upper:
    """A handler."""

    def received(self, client: object, frame: bytes) -> bytes:
        """Answer in capitals."""
        return frame.upper()


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_before(cleanups: Cleanups) -> None:
    """A coroutine of pytest-twisted runs a host, before a class of trial."""
    host = await running_host(cleanups, CONFIG, FILES)
    assert await ask(host) == b"hello"
    assert await host.stop() == ExitStatus.CLEAN


class BetweenTests(TestCase):
    """A class of trial in the middle."""

    timeout = 100

    async def test_between(self) -> None:
        """It runs a host on the same reactor."""
        host = await running_host(self, CONFIG, FILES)
        self.assertEqual(await ask(host), b"hello")


UpperContractTests = handler_contract_tests(lambda _: Upper(), [(b"a", b"A")])


@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_after(cleanups: Cleanups) -> None:
    """And after it; the host is stopped by the fixture."""
    host = await running_host(cleanups, CONFIG, FILES)
    assert await ask(host) == b"hello"


@pytest_twisted.inlineCallbacks  # type: ignore[untyped-decorator]
def test_generator(cleanups: Cleanups) -> Generator[Deferred[Any], Any, None]:
    """The older way to write such tests works too."""
    host = yield running_host(cleanups, CONFIG, FILES)
    client = yield host.connect("echo.sock")
    assert (yield client.request(b"hello")) == b"hello"
    yield client.close()


def test_pair() -> None:
    """What needs no reactor needs no plugin of pytest."""
    pair = connected_pair(Upper())
    answer = pair.request(b"hello")
    assert answer.result == b"HELLO"
