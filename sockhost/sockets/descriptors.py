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
"""Seconds without a want of them after which the next one is logged again."""


def limit() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def first_kept(of: int) -> int:
    """The lowest number that no client may have."""
    return of - min(KEPT, of // 8)


def copy_number(fd: int, before: int = 0) -> int:
    """
    Say which number a copy of a descriptor would get now.  What is accepted
    has one that is free again as soon as the reactor has made its copy.

    @param before: how many others would be made before it.
    """
    try:
        copy = os.dup(fd)
    except OSError:
        return sys.maxsize
    try:
        return copy_number(fd, before - 1) if before else copy
    finally:
        os.close(copy)


@define(eq=False)
class Kept:
    """
    The descriptors that are kept back from the clients of one socket.

    @ivar first: the lowest of them.  The limit is read once.
    @ivar few: whether who came last has left few but these: the process itself
        may take those before the next one comes.
    @ivar used_up: whether who came last has left none but these.
    """

    _log = Logger()

    _name: str
    _clock: IReactorTime
    _limit: Callable[[], int] = limit
    first: int = field(init=False)
    few: bool = field(default=False, init=False)
    used_up: bool = field(default=False, init=False)
    _told: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.first = first_kept(self._limit())

    def take(self, number: int) -> bool:
        """
        A client has come to have this descriptor.

        @return: C{False} if it may not have it.
        """
        self.few = number >= self.first - KEPT
        self.used_up = number >= self.first - 1
        return number < self.first

    def tell(self, consequence: str) -> None:
        """Log what follows from the want of others, once for a while."""
        now = self._clock.seconds()
        if self._told is None or now - self._told >= QUIET:
            self._log.error(
                "{unit} {consequence}: {count} descriptors are in use, and what"
                " is left is kept for the host (see: ulimit -n)",
                unit=self._name,
                consequence=consequence,
                count=self.first,
            )
        self._told = now
