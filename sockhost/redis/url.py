# -*- test-case-name: tests.redis.test_url -*-
"""
Where a Redis server is, or many that belong together, as one line of text::

    redis://[[user]:password@]host[:port][/db]
    unix://path
    redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/service[/db]
    redis+cluster://[[user]:password@]host[:port][,host[:port]…]

C{rediss} in place of C{redis} means TLS.  Behind a C{?} there may be options,
joined by C{&}:

    - C{db}: the number of the database (not in a cluster).
    - C{client_name}: what C{CLIENT LIST} shows.
    - C{prefer}: C{ipv4} or C{ipv6}, which addresses of a name are tried
      first (not for C{unix}); C{any} for the order of the system (usual).
    - C{ca}, C{cert}, C{key}: files for TLS; C{name}: what the server's
      certificate must be for; C{verify=no} to talk to anybody.  See L{TLS}.
    - C{role}, with Sentinel: C{primary} (usual), C{replica}, or
      C{any} for a replica if there is one, else the primary.
    - C{sentinel_user} and C{sentinel_password}, for the Sentinels themselves.
    - C{min_other_sentinels}: how many others a Sentinel must know to be believed.
    - C{read}, with a cluster: C{primary} (usual) or C{replica}, where commands
      that only read are sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from attrs import evolve, field, frozen
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
)
from twisted.internet.interfaces import IStreamClientEndpoint

from sockhost.redis.families import FAMILIES, preferring
from sockhost.redis.tls import TLS

EXPECTED = (
    "expected redis://[user:password@]host[:port][/db] or unix://path[?db=n], "
    "rediss:// for TLS, redis+sentinel://host[,host]/service, "
    "or redis+cluster://host[,host]"
)
DEFAULT_PORT = 6379
SENTINEL_PORT = 26379
# What the address of a Unix socket holds on Linux.
LONGEST_PATH = 107
# What stands between the // and what comes behind the hosts.
_PLACE = re.compile(r"[^/?#]*")
# What urlsplit() does without.
_STRIPPED = re.compile(r"[\t\r\n]")
# What is given for parameters of such names, known or not, is not shown.
_SECRET = re.compile(r"(?i)((?:pass|secret|token|auth)[^=&]*=)[^&]*")

Address = tuple[str, int]


class Kind(Enum):
    """What is behind a URL."""

    SERVER = "redis"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


_TLS = frozenset({"ca", "cert", "key", "name", "verify"})
_ONE = frozenset({"client_name", "db"})
_SENTINEL = _ONE | {
    "role",
    "sentinel_user",
    "sentinel_password",
    "min_other_sentinels",
}
_CLUSTER = frozenset({"client_name", "read"})
_TCP = frozenset({"prefer"})


@frozen(kw_only=True)
class RedisURL:
    """
    Where a server is, and as whom to talk to it.

    @ivar kind: what it is.
    @ivar path: of the Unix socket; C{None} for TCP.  Relative paths are
        relative to the working directory.
    @ivar host: name or address, for TCP.
    @ivar others: of Sentinels or nodes of a cluster, those after the first.
    @ivar db: the number of the database.
    @ivar username: C{None} for the server's default user.
    @ivar tls: C{None} for none.
    @ivar service: what the Sentinels call it.
    @ivar role: which of the servers that the Sentinels know is meant.
    @ivar min_other_sentinels: how many others a Sentinel must know to be believed.
    @ivar read: where in a cluster to read.
    @ivar prefer: which addresses of a name are tried first.
    """

    kind: Kind = Kind.SERVER
    path: str | None = None
    host: str = "localhost"
    port: int = DEFAULT_PORT
    others: tuple[Address, ...] = ()
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_name: str = ""
    tls: TLS | None = None
    service: str = ""
    role: str = "primary"
    sentinel_user: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    min_other_sentinels: int = 0
    read: str = "primary"
    prefer: str = "any"

    def __str__(self) -> str:
        """The URL without passwords and options: fit for a log."""
        user = f"{self.username}@" if self.username else ""
        if self.path is not None:
            suffix = f"?db={self.db}" if self.db else ""
            return f"unix://{user}{self.path}{suffix}"
        scheme = self.kind.value
        if self.tls is not None:
            scheme = scheme.replace("redis", "rediss", 1)
        places = ",".join(_shown(each) for each in self.addresses)
        return f"{scheme}://{user}{places}{self._shown_path()}"

    def _shown_path(self) -> str:
        if self.kind is Kind.CLUSTER:
            return ""
        if self.kind is Kind.SENTINEL:
            return f"/{self.service}/{self.db}"
        return f"/{self.db}"

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Host and port of each place that is named, in order."""
        return ((self.host, self.port), *self.others)

    @property
    def place(self) -> str:
        """Where one server is: its path, or its host and port."""
        return self.path or _shown((self.host, self.port))

    def at(self, address: Address) -> RedisURL:
        """The same, as that of one server which is found at an address."""
        host, port = address
        return evolve(self, kind=Kind.SERVER, host=host, port=port, others=())

    def endpoint(
        self, reactor: object, timeout: float, source: str | None = None
    ) -> IStreamClientEndpoint:
        """
        Make what connects to the server.

        @param timeout: seconds that one attempt may take.
        @param source: the address to connect from, for TCP.
        @raise RedisError: TLS is not possible like this.
        """
        if self.path is not None:
            return UNIXClientEndpoint(reactor, self.path, timeout)
        bind = (source, 0) if source else None
        where = (reactor, self.host, self.port, timeout, bind)
        endpoint: IStreamClientEndpoint
        # That for names is in no hurry to say that nobody listens.
        if isIPAddress(self.host):
            endpoint = TCP4ClientEndpoint(*where)
        elif isIPv6Address(self.host):
            endpoint = TCP6ClientEndpoint(*where)
        else:
            names = preferring(reactor, self.prefer)
            endpoint = HostnameEndpoint(
                names, self.host.encode(), self.port, timeout, bind
            )
        return endpoint if self.tls is None else self.tls.wrap(endpoint, self.host)


def parse_url(text: str) -> RedisURL:
    """
    Read a URL.  The path of a Unix socket may be relative
    (C{unix://run/valkey.sock}) or absolute (C{unix:///run/valkey.sock}).  What
    is special in a URL is percent-encoded in the user, the password and the
    path.

    @raise ValueError: it is none; the text says what was expected.
    """
    try:
        parts = _split(text)
        if parts.scheme in _SCHEMES:
            return _parse(parts)
    except ValueError as error:
        raise ValueError(f"{_masked(text)!r}: {error}; {EXPECTED}") from None
    raise ValueError(f"{_masked(text)!r}: no scheme that is known; {EXPECTED}")


def _split(text: str) -> SplitResult:
    # Newer Pythons take brackets around the one host of a URL only.
    scheme, mark, rest = text.partition("://")
    place = _PLACE.match(rest)[0] if mark else ""  # type: ignore[index]
    if place.count(",") == 0:
        return urlsplit(text)
    for each in place.rpartition("@")[2].split(","):
        urlsplit(f"{scheme}{mark}{each}")
    bare = place.replace("[", "").replace("]", "")
    parts = urlsplit(f"{scheme}{mark}{bare}{rest[len(place) :]}")
    return parts._replace(netloc=_STRIPPED.sub("", place))


def _masked(text: str) -> str:
    scheme, mark, rest = text.partition("://")
    user, at, place = rest.rpartition("@")
    if ":" in user:
        user = user.partition(":")[0] + ":***"
    place = _SECRET.sub(r"\1***", place)
    return f"{scheme}{mark}{user}{at}{place}"


def _parse(parts: SplitResult) -> RedisURL:
    kind, read, known = _SCHEMES[parts.scheme]
    if parts.fragment:
        raise ValueError("a # must be written as %23")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    _refuse_unknown(set(options), known)
    user, _, place = parts.netloc.rpartition("@")
    username, colon, password = user.partition(":")
    common: dict[str, Any] = {
        "kind": kind,
        "username": _decoded(username),
        "password": _decoded(password) if colon else None,
        "client_name": options.get("client_name", ""),
        "tls": _tls(options) if known >= _TLS else None,
        "prefer": _chosen(options, "prefer", "any", *FAMILIES),
    }
    return read(place, parts.path, options, common)


def _refuse_unknown(names: set[str], known: frozenset[str]) -> None:
    unknown = sorted(names - known)
    if unknown:
        raise ValueError(
            f"no parameter is called {unknown[0]!r} here: {', '.join(sorted(known))}"
        )


_Options = Mapping[str, str]


def _unix(
    place: str, path: str, options: _Options, common: Mapping[str, Any]
) -> RedisURL:
    if not place + path:
        raise ValueError("it names no path")
    name = unquote(place + path)
    if len(os.fsencode(name)) > LONGEST_PATH:
        raise ValueError(f"the path is longer than {LONGEST_PATH} bytes")
    return RedisURL(path=name, db=_database(options.get("db", "")), **common)


def _tcp(
    place: str, path: str, options: _Options, common: Mapping[str, Any]
) -> RedisURL:
    if "," in place:
        raise ValueError("it names several hosts, as only Sentinels and clusters do")
    host, port = _address(place, DEFAULT_PORT)
    db = _database(path.strip("/") or options.get("db", ""))
    return RedisURL(host=host, port=port, db=db, **common)


def _sentinel(
    place: str, path: str, options: _Options, common: Mapping[str, Any]
) -> RedisURL:
    (host, port), *others = _addresses(place, SENTINEL_PORT)
    service, _, db = path.strip("/").partition("/")
    if not service:
        raise ValueError("it names no service, as in redis+sentinel://host/service")
    return RedisURL(
        host=host,
        port=port,
        others=tuple(others),
        service=unquote(service),
        db=_database(db or options.get("db", "")),
        role=_chosen(options, "role", "primary", "replica", "any"),
        sentinel_user=options.get("sentinel_user"),
        sentinel_password=options.get("sentinel_password"),
        min_other_sentinels=_count(options, "min_other_sentinels"),
        **common,
    )


def _cluster(
    place: str, path: str, options: _Options, common: Mapping[str, Any]
) -> RedisURL:
    (host, port), *others = _addresses(place, DEFAULT_PORT)
    if path.strip("/") not in ("", "0"):
        raise ValueError("a cluster has no databases but 0")
    read = _chosen(options, "read", "primary", "replica")
    return RedisURL(host=host, port=port, others=tuple(others), read=read, **common)


# How each is read, and which options it has.
_SCHEMES = {
    "redis": (Kind.SERVER, _tcp, _ONE | _TCP),
    "rediss": (Kind.SERVER, _tcp, _ONE | _TCP | _TLS),
    "unix": (Kind.SERVER, _unix, _ONE),
    "redis+sentinel": (Kind.SENTINEL, _sentinel, _SENTINEL | _TCP),
    "rediss+sentinel": (Kind.SENTINEL, _sentinel, _SENTINEL | _TCP | _TLS),
    "redis+cluster": (Kind.CLUSTER, _cluster, _CLUSTER | _TCP),
    "rediss+cluster": (Kind.CLUSTER, _cluster, _CLUSTER | _TCP | _TLS),
}


def _addresses(place: str, usual: int) -> list[Address]:
    return [_address(each, usual) for each in place.split(",")]


def _address(text: str, usual: int) -> Address:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
    if not host:
        raise ValueError("it names no host")
    if not colon or not port:
        return host.lower(), usual
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise ValueError(f"{port!r} is no port")
    return host.lower(), int(port)


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tls(options: _Options) -> TLS:
    return TLS(
        ca=options.get("ca"),
        cert=options.get("cert"),
        key=options.get("key"),
        name=options.get("name"),
        verify=_chosen(options, "verify", "yes", "no") == "yes",
    )


def _chosen(options: _Options, name: str, *known: str) -> str:
    value = options.get(name, known[0])
    if value not in known:
        raise ValueError(f"{name}={value} is none of {', '.join(known)}")
    return value


def _count(options: _Options, name: str) -> int:
    text = options.get(name, "0")
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name}={text} is no number")
    return int(text)


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no number of a database")
    return int(text)


def _decoded(text: str) -> str | None:
    return unquote(text) if text else None
