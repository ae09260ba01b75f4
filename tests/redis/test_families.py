"""
Tests for L{sockhost.redis.families}, and for the option of URLs.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IHostnameResolver,
    IReactorPluggableNameResolver,
)
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.redis.families import preferring
from sockhost.redis.url import parse_url


@implementer(IHostnameResolver)
class Resolver:
    """Knows two addresses of each kind for every name."""

    def resolveHostName(
        self,
        resolutionReceiver: Any,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        *_: Any,
        **options: Any,
    ) -> Any:
        """Tell all of them, in turn."""
        receiver, port = resolutionReceiver, portNumber
        receiver.resolutionBegan(self)
        for number in (1, 2):
            v6 = IPv6Address("TCP", f"::{number}", port)
            v4 = IPv4Address("TCP", f"10.0.0.{number}", port)
            receiver.addressResolved(v6)
            receiver.addressResolved(v4)
        receiver.resolutionComplete()
        return self


class PreferenceTests(SynchronousTestCase):
    """Which address is tried first."""

    def tried(self, option: str) -> list[str]:
        """The addresses that are tried one after the other, as none answers."""
        reactor = MemoryReactorClock()
        reactor.nameResolver = Resolver()
        endpoint = parse_url(f"redis://name{option}").endpoint(reactor, 60.0)
        connecting = endpoint.connect(Factory())
        reactor.pump([0.3] * 5)
        connecting.addErrback(lambda _: None).cancel()
        return [each[0] for each in reactor.tcpClients]

    def test_any(self) -> None:
        """Usually it is for the resolver to say."""
        found = ["::1", "10.0.0.1", "::2", "10.0.0.2"]
        self.assertEqual(self.tried(""), found)
        self.assertEqual(self.tried("?prefer=any"), found)

    def test_preferred(self) -> None:
        """Those that are preferred are first, and the others are tried after."""
        v4, v6 = ["10.0.0.1", "10.0.0.2"], ["::1", "::2"]
        self.assertEqual(self.tried("?prefer=ipv4"), v4 + v6)
        self.assertEqual(self.tried("?prefer=ipv6"), v6 + v4)

    def test_kinds(self) -> None:
        """Wherever names are connected to it may be said, and nowhere else."""
        for good in (
            "rediss://h?prefer=ipv4",
            "redis+sentinel://h/s?prefer=ipv4",
            "redis+cluster://h?prefer=ipv4",
        ):
            url = parse_url(good)
            self.assertEqual(url.prefer, "ipv4")
            self.assertEqual(url.at(("other", 1)).prefer, "ipv4")
        for bad in ("unix://run/x?prefer=ipv4", "redis://h?prefer=ipv5"):
            with self.assertRaises(ValueError):
                parse_url(bad)

    def test_interface(self) -> None:
        """What it is made of is what the endpoint asks for."""
        reactor = MemoryReactorClock()
        reactor.nameResolver = Resolver()
        made = preferring(reactor, "ipv4")
        verifyObject(IReactorPluggableNameResolver, made)
        verifyObject(IHostnameResolver, made.nameResolver)
        self.assertIs(preferring(reactor, "any"), reactor)
        self.patch(reactor, "installNameResolver", lambda resolver: resolver)
        self.assertIs(made.installNameResolver(made), made)
