# -*- test-case-name: tests.redis.test_families -*-
"""
Which of the addresses of a name is tried first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer

#: What may be preferred, and the type of its addresses.
FAMILIES: dict[str, type] = {"ipv4": IPv4Address, "ipv6": IPv6Address}


@implementer(IResolutionReceiver)
@define
class _Sorter:
    """Hands on what was found when all of it is there."""

    _to: IResolutionReceiver
    _first: type
    _found: list[IAddress]

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        self._to.resolutionBegan(resolution)

    def addressResolved(self, address: IAddress) -> None:
        self._found.append(address)

    def resolutionComplete(self) -> None:
        # In the resolver's order otherwise: to sort changes no more than it must.
        for each in sorted(self._found, key=lambda each: type(each) is not self._first):
            self._to.addressResolved(each)
        self._to.resolutionComplete()


@implementer(IHostnameResolver)
@frozen
class _Resolver:
    """Finds what another finds."""

    _inner: IHostnameResolver
    _first: type

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        sorter = _Sorter(resolutionReceiver, self._first, [])
        return self._inner.resolveHostName(
            sorter, hostName, portNumber, addressTypes, transportSemantics
        )


@implementer(IReactorPluggableNameResolver)
class _Preferring:
    """A reactor, but for its resolver."""

    def __init__(self, reactor: Any, first: type) -> None:
        self._reactor = reactor
        self._first = first

    @property
    def nameResolver(self) -> IHostnameResolver:
        return _Resolver(self._reactor.nameResolver, self._first)

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        found: IHostnameResolver = self._reactor.installNameResolver(resolver)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


def preferring(reactor: Any, family: str) -> Any:
    """
    Make a reactor for the endpoint of a name.

    @param family: C{"ipv4"} or C{"ipv6"} for the addresses that are tried
        first; the others are if these do not answer at once.  C{"any"} for the
        order of the resolver.
    """
    first = FAMILIES.get(family)
    return reactor if first is None else _Preferring(reactor, first)
