"""
Tests for L{sockhost.redis.url}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.url import RedisURL, parse_url


class ParseUrlTests(SynchronousTestCase):
    """What a URL says, and what none is."""

    def test_tcp(self) -> None:
        """Host, port and database have their defaults."""
        self.assertEqual(parse_url("redis://h"), RedisURL(host="h"))
        self.assertEqual(parse_url("redis://h:1/2"), RedisURL(host="h", port=1, db=2))
        self.assertEqual(
            parse_url("redis://[::1]:7?db=4"), RedisURL(host="::1", port=7, db=4)
        )

    def test_user(self) -> None:
        """User and password are percent-decoded, and each may be missing."""
        self.assertEqual(
            parse_url("redis://al%40x:p%3Aw%2F@h"),
            RedisURL(host="h", username="al@x", password="p:w/"),
        )
        self.assertEqual(parse_url("redis://:pw@h"), RedisURL(host="h", password="pw"))

    def test_unix(self) -> None:
        """Paths are relative or absolute, and keep their case."""
        self.assertEqual(parse_url("unix://Run/v.sock"), RedisURL(path="Run/v.sock"))
        self.assertEqual(
            parse_url("unix:///run/a%20b.sock?db=3"),
            RedisURL(path="/run/a b.sock", db=3),
        )
        self.assertEqual(
            parse_url("unix://u:p@run/v.sock"),
            RedisURL(path="run/v.sock", username="u", password="p"),
        )

    def test_bad(self) -> None:
        """What is none says what was expected, and never the password."""
        for bad, why in (
            ("localhost:6379", "no scheme"),
            ("http://h", "no scheme"),
            ("redis://", "names no host"),
            ("redis://:secret@h:port", "port"),
            ("redis://:secret@h/x", "'x' is no number"),
            ("redis://h?database=3", "'database'"),
            ("redis://h/1#x", "%23"),
            ("unix://", "names no path"),
            ("unix:///" + "x" * 107, "longer than 107"),
            ("redis://[::1", "IPv6"),
        ):
            with self.assertRaisesRegex(ValueError, why) as caught:
                parse_url(bad)
            self.assertIn("expected redis://", str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    @given(st.text())
    def test_anything(self, text: str) -> None:
        """Any text is a URL or a ValueError."""
        for prefix in ("", "redis://", "unix://"):
            try:
                url = parse_url(prefix + text)
            except ValueError as error:
                self.assertIn("expected", str(error))
            else:
                self.assertTrue(url.path or url.host)


class RedisURLTests(SynchronousTestCase):
    """What can be done with a URL."""

    def test_text(self) -> None:
        """As text it is a URL again, without the password."""
        for text, shown in (
            ("redis://u:secret@h:1/2", "redis://u@h:1/2"),
            ("redis://[::1]", "redis://[::1]:6379/0"),
            ("unix://run/v.sock?db=1", "unix://run/v.sock?db=1"),
        ):
            self.assertEqual(str(parse_url(text)), shown)
            self.assertNotIn("secret", repr(parse_url(text)))

    def test_endpoint(self) -> None:
        """There is an endpoint for either kind of place."""
        reactor = MemoryReactorClock()
        unix = parse_url("unix:///x").endpoint(reactor, 1.0)
        self.assertIsInstance(unix, UNIXClientEndpoint)
        tcp = parse_url("redis://h").endpoint(reactor, 1.0)
        self.assertIsInstance(tcp, HostnameEndpoint)
