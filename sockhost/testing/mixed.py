# -*- test-case-name: tests.functional.test_pytest_users -*-
"""
Tests for trial and tests for pytest-twisted in one run of pytest.

After a test of pytest-twisted its reactor is still running, in a greenlet that
waits for the next such test.  A test case class of trial that waits for
something, as the contract tests and those with a real host do, then cannot run
the reactor for itself, and fails with a reactor that is unclean.  So let it
rest after each test, by these lines in C{conftest.py}::

    @pytest.fixture(autouse=True)
    def _rest() -> Iterator[None]:
        yield
        rest_reactor()
"""

from __future__ import annotations

from typing import Any


def rest_reactor() -> None:
    """
    Have the reactor of pytest-twisted return from its C{run}; the next test of
    pytest-twisted runs it again.  Does nothing where it does not run.
    """
    import pytest_twisted

    instances: Any = pytest_twisted._instances
    running = instances.gr_twisted
    if not running:
        return
    instances.reactor.crash()
    # It finishes what it was in the middle of, and comes back here.
    running.switch()
    instances.gr_twisted = type(running)(instances.reactor.run)
