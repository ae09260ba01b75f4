# -*- test-case-name: tests.sockets.test_descriptors -*-
"""
Keeping descriptors back: clients may not use up what the process itself needs
to answer its control socket, to start children and to write logs.

The kernel gives the lowest number that is free.  So the number of a client's
descriptor tells how many are in use, for the cost of comparing two numbers.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

KEPT = 32
"""How many are kept back, or an eighth of all if that is less."""

QUIET = 60.0
"""Seconds without a refusal after which the next one is logged again."""


def limit() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def first_kept(of: int) -> int:
    """The lowest number that no client may have."""
    return of - min(KEPT, of // 8)


def copy_number(fd: int) -> int:
    """
    Say which number a copy of a descriptor would get now.  What is accepted
    has one that is free again as soon as the reactor has made its copy.
    """
    try:
        copy = os.dup(fd)
    except OSError:
        return sys.maxsize
    os.close(copy)
    return copy


@define(eq=False)
class Kept:
    """
    The descriptors that are kept back from the clients of one socket.

    @ivar first: the lowest of them.  The limit is read once.
    """

    _log = Logger()

    _name: str
    _clock: IReactorTime
    _limit: Callable[[], int] = limit
    first: int = field(init=False)
    _refused: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.first = first_kept(self._limit())

    def refused(self) -> None:
        """A client had one of them; the first for a while is logged."""
        now = self._clock.seconds()
        if self._refused is None or now - self._refused >= QUIET:
            self._log.error(
                "{unit} refuses clients: {count} descriptors are in use, and what"
                " is left is kept for the host (see: ulimit -n)",
                unit=self._name,
                count=self.first,
            )
        self._refused = now
