# -*- test-case-name: tests.testing.test_contracts -*-
"""
What all contract tests are made of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase


def nothing() -> None:
    """A hand for what happens by itself."""


class ContractCase(TestCase):
    """
    The tests of one interface for one implementation.

    @ivar fixture: what C{make} has made for this test.
    """

    timeout = 30
    make: Callable[[TestCase], Any]

    def __init__(self, methodName: str = "runTest") -> None:  # noqa: N803
        _take_name(type(self))
        super().__init__(methodName)

    async def setUp(self) -> None:  # type: ignore[override]
        """Make what is to be tested."""
        self.fixture: Any = await maybeDeferred(type(self).make, self)

    async def turn(self, hand: Callable[..., object], *args: object) -> Any:
        """Use a hand of the fixture, and wait for it if it takes time."""
        return await maybeDeferred(hand, *args)

    async def failure_of(self, result: Deferred[Any], *kinds: type[Exception]) -> Any:
        """Wait for a Deferred that has to fail, with one of some exceptions."""
        try:
            value = await result
        except kinds as error:
            return error
        raise self.failureException(f"it did not fail, but gave {value!r}")

    def refused(
        self, call: Callable[[], Deferred[Any]], *kinds: type[Exception]
    ) -> Any:
        """Call what has to fail, by its Deferred and not by raising."""
        try:
            result = call()
        except Exception as error:
            raise self.failureException(
                f"raised instead of failing: {error!r}"
            ) from error
        return self.failure_of(result, *kinds)

    def lack(self, what: str) -> NoReturn:
        """Skip a test for which the fixture has no hand."""
        raise SkipTest(f"the fixture does not say {what}")


def contract_tests(name: str, *bases: type[TestCase], **names: Any) -> type[TestCase]:
    """
    Make a test case class, in the module of the caller's caller.  There it is
    called what that module calls it, so that a runner finds it by its name.
    """
    module = sys._getframe(2).f_globals.get("__name__", __name__)
    made: type[TestCase] = type(name, bases, {"__module__": module, **names})
    made.__doc__ = bases[0].__doc__
    return made


def _take_name(case: type[TestCase]) -> None:
    module = sys.modules.get(case.__module__)
    for name, value in vars(module).items() if module is not None else ():
        if value is case:
            case.__name__ = case.__qualname__ = name


def cancelled(result: object) -> bool:
    """Say whether a Deferred ended by being cancelled."""
    return isinstance(result, Failure) and bool(result.check(CancelledError))
