# -*- test-case-name: tests.testing.test_redis -*-
"""
What is in a database: values by key, with the time when they are to be gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field

from sockhost.interfaces import RedisReplyError

_V = TypeVar("_V")


class Hash(dict[bytes, bytes]):
    """A hash."""


class Members(dict[bytes, None]):
    """A set, in the order in which its members came."""


class SortedSet(dict[bytes, float]):
    """A sorted set: the scores of the members."""

    def ordered(self) -> list[tuple[bytes, float]]:
        """Members with their scores, the lowest first."""
        return sorted(self.items(), key=lambda each: (each[1], each[0]))


class Elements(list[bytes]):
    """A list."""


TYPES: dict[type, bytes] = {
    bytes: b"string",
    Hash: b"hash",
    Members: b"set",
    SortedSet: b"zset",
    Elements: b"list",
}


def wrong_type() -> RedisReplyError:
    """What is said when a key holds something else."""
    return RedisReplyError(
        "WRONGTYPE Operation against a key holding the wrong kind of value"
    )


@define
class _Entry:
    value: Any
    expires: float | None = None


@define
class Store:
    """
    One database.

    @ivar versions: how often each key has changed.
    """

    _now: Callable[[], float]
    _entries: dict[bytes, _Entry] = field(factory=dict)
    versions: dict[bytes, int] = field(factory=dict)

    def __len__(self) -> int:
        return len(self.names())

    def names(self) -> list[bytes]:
        """All keys, in the order in which they came."""
        return [key for key in list(self._entries) if self._entry(key) is not None]

    def _entry(self, key: bytes) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None or (entry.value != b"" and not entry.value):
            # A command that has failed may have left an empty one.
            return None
        if entry.expires is None or entry.expires > self._now():
            return entry
        self.remove(key)
        return None

    def value(self, key: bytes) -> Any:
        """What a key holds, or C{None}."""
        entry = self._entry(key)
        return None if entry is None else entry.value

    def get(self, key: bytes, type_: type[_V]) -> _V | None:
        """
        What a key holds, or C{None}.

        @raise RedisReplyError: it is something else.
        """
        value = self.value(key)
        if value is not None and not isinstance(value, type_):
            raise wrong_type()
        return value

    def read(self, key: bytes, type_: type[_V]) -> _V:
        """Like L{get}, but nothing is an empty one."""
        value = self.get(key, type_)
        return type_() if value is None else value

    def change(self, key: bytes, type_: type[_V]) -> _V:
        """Like L{read}, for what is to be changed and then given to L{keep}."""
        value = self.read(key, type_)
        if self._entry(key) is None:
            self._entries[key] = _Entry(value)
        return value

    def keep(self, key: bytes) -> None:
        """What the key holds was changed; if nothing is left, it is gone."""
        if not self.value(key):
            self.remove(key)
        self.touch(key)

    def set(self, key: bytes, value: Any, expires: float | None = None) -> None:
        """Put a value in the place of any other."""
        self._entries[key] = _Entry(value, expires)
        self.touch(key)

    def put(self, key: bytes, value: Any) -> None:
        """Put a value in the place of another, which keeps its time."""
        self.set(key, value, self.expires(key))

    def remove(self, key: bytes) -> bool:
        """Remove a key, if it is there."""
        if self._entries.pop(key, None) is None:
            return False
        self.touch(key)
        return True

    def clear(self) -> None:
        """Remove all."""
        for key in list(self._entries):
            self.remove(key)

    def touch(self, key: bytes) -> None:
        """The key has changed."""
        self.versions[key] = self.versions.get(key, 0) + 1

    # -- time ---------------------------------------------------------------

    def expires(self, key: bytes) -> float | None:
        """When a key is to be gone, in seconds, or C{None} for never."""
        entry = self._entry(key)
        return None if entry is None else entry.expires

    def expire(self, key: bytes, when: float | None) -> None:
        """Change when a key that is there is to be gone."""
        entry = self._entries[key]
        entry.expires = when
        self.touch(key)
        self._entry(key)
