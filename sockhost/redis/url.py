# -*- test-case-name: tests.redis.test_url -*-
"""
Where a Redis server is, as one line of text.
"""

from __future__ import annotations

import os
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from attrs import field, frozen
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

EXPECTED = "expected redis://[user:password@]host[:port][/db] or unix://path[?db=n]"
DEFAULT_PORT = 6379
# What the address of a Unix socket holds on Linux.
LONGEST_PATH = 107


@frozen(kw_only=True)
class RedisURL:
    """
    Where a server is, and as whom to talk to it.

    @ivar path: of the Unix socket; C{None} for TCP.  Relative paths are
        relative to the working directory.
    @ivar host: name or address, for TCP.
    @ivar db: the number of the database.
    @ivar username: C{None} for the server's default user.
    """

    path: str | None = None
    host: str = "localhost"
    port: int = DEFAULT_PORT
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """The URL without the password: fit for a log."""
        user = f"{self.username}@" if self.username else ""
        if self.path is not None:
            suffix = f"?db={self.db}" if self.db else ""
            return f"unix://{user}{self.path}{suffix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis://{user}{host}:{self.port}/{self.db}"

    def endpoint(
        self, reactor: object, timeout: float, source: str | None = None
    ) -> IStreamClientEndpoint:
        """
        Make what connects to the server.

        @param timeout: seconds that one attempt may take.
        @param source: the address to connect from, for TCP.
        """
        if self.path is not None:
            return UNIXClientEndpoint(reactor, self.path, timeout)
        host = self.host.encode()
        bind = (source, 0) if source else None
        return HostnameEndpoint(reactor, host, self.port, timeout, bind)


def parse_url(text: str) -> RedisURL:
    """
    Read C{redis://[user:password@]host[:port][/db]} or C{unix://path[?db=n]},
    where the path may be relative (C{unix://run/valkey.sock}) or absolute
    (C{unix:///run/valkey.sock}).  What is special in a URL is percent-encoded
    in the user, the password and the path.

    @raise ValueError: it is none; the text says what was expected.
    """
    try:
        parts = urlsplit(text)
        _refuse_unknown(parts)
        if parts.scheme == "unix":
            return _unix(parts)
        if parts.scheme == "redis":
            return _tcp(parts)
    except ValueError as error:
        raise ValueError(f"{_masked(text)!r}: {error}; {EXPECTED}") from None
    raise ValueError(f"{_masked(text)!r}: no scheme that is known; {EXPECTED}")


def _masked(text: str) -> str:
    scheme, mark, rest = text.partition("://")
    user, at, place = rest.rpartition("@")
    if ":" in user:
        user = user.partition(":")[0] + ":***"
    return f"{scheme}{mark}{user}{at}{place}"


def _refuse_unknown(parts: SplitResult) -> None:
    if parts.fragment:
        raise ValueError("a # must be written as %23")
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    unknown = sorted(names - {"db"})
    if unknown:
        raise ValueError(f"no parameter is called {unknown[0]!r}")


def _unix(parts: SplitResult) -> RedisURL:
    place = parts.netloc.rpartition("@")[2] + parts.path
    if not place:
        raise ValueError("it names no path")
    path = unquote(place)
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ValueError(f"the path is longer than {LONGEST_PATH} bytes")
    return RedisURL(
        path=path,
        db=_database(_query_db(parts)),
        username=_decoded(parts.username),
        password=_decoded(parts.password),
    )


def _tcp(parts: SplitResult) -> RedisURL:
    if not parts.hostname:
        raise ValueError("it names no host")
    in_path = parts.path.strip("/")
    return RedisURL(
        host=parts.hostname,
        port=DEFAULT_PORT if parts.port is None else parts.port,
        db=_database(in_path or _query_db(parts)),
        username=_decoded(parts.username),
        password=_decoded(parts.password),
    )


def _query_db(parts: SplitResult) -> str:
    return dict(parse_qsl(parts.query)).get("db", "")


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no number of a database")
    return int(text)


def _decoded(text: str | None) -> str | None:
    return unquote(text) if text else None
