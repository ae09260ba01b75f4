# -*- test-case-name: tests.redis.test_cluster -*-
"""
Which node of a cluster has which slots.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from sockhost.redis.url import Address


@frozen
class Range:
    """
    Slots that are at the same place.

    @ivar last: is one of them.
    """

    first: int
    last: int
    primary: Address
    replicas: tuple[Address, ...] = ()


@frozen
class SlotMap:
    """
    All slots of a cluster, as one of its nodes sees it.
    """

    ranges: tuple[Range, ...] = ()
    _moved: dict[int, Address] = field(factory=dict)

    @classmethod
    def read(cls, reply: Sequence[Any], asked: Address) -> SlotMap:
        """
        Take what C{CLUSTER SLOTS} answers.

        @param asked: where it was asked; a node that does not know its own
            address is at the same host.
        """
        ranges = [
            Range(first, last, *_nodes(nodes, asked)) for first, last, *nodes in reply
        ]
        return cls(tuple(sorted(ranges, key=lambda each: each.first)))

    def find(self, slot: int) -> Range | None:
        """Say where a slot is."""
        moved = self._moved.get(slot)
        if moved is not None:
            return Range(slot, slot, moved)
        place = bisect_right(self.ranges, slot, key=lambda each: each.first) - 1
        if place >= 0 and self.ranges[place].last >= slot:
            return self.ranges[place]
        return None

    def move(self, slot: int, address: Address) -> None:
        """Take note that a slot is elsewhere, until the next map."""
        self._moved[slot] = address

    @property
    def primaries(self) -> list[Address]:
        """Every node that has slots."""
        return list(dict.fromkeys(each.primary for each in self.ranges))

    @property
    def addresses(self) -> set[Address]:
        """Every node."""
        replicas = {one for each in self.ranges for one in each.replicas}
        return {*self.primaries, *self._moved.values(), *replicas}


def _nodes(nodes: Sequence[Any], asked: Address) -> tuple[Address, tuple[Address, ...]]:
    primary, *replicas = [(_host(node[0], asked), int(node[1])) for node in nodes]
    return primary, tuple(replicas)


def _host(said: bytes | None, asked: Address) -> str:
    return said.decode() if said and said != b"?" else asked[0]


def read_redirection(text: str, asked: Address) -> tuple[int, Address]:
    """
    Read C{MOVED 3999 127.0.0.1:6381}.

    @param asked: who said so; it may mean another port of the same host.
    @return: the slot, and where it is.
    """
    _, slot, place = text.split()[:3]
    host, _, port = place.rpartition(":")
    return int(slot), (host.strip("[]") or asked[0], int(port))
