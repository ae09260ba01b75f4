"""
Tests for L{sockhost.redis.url}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.tls import TLS
from sockhost.redis.url import Kind, RedisURL, parse_url


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
            ("redis://h:0", "'0' is no port"),
            ("redis://h:70000", "'70000' is no port"),
            ("redis://h,i", "several hosts"),
            ("redis://h?ca=x", "'ca' here: client_name, db"),
            ("rediss://h?verify=maybe", "verify=maybe is none of yes, no"),
            ("redis+sentinel://h", "names no service"),
            ("redis+sentinel://h/s?role=master", "primary, replica, any"),
            ("redis+sentinel://h/s?min_other_sentinels=all", "no number"),
            ("redis+sentinel://h/s?x=1&sentinel_password=secret", "'x'"),
            ("redis://h?password=secret", "'password'"),
            ("redis://h?db=0&PassWord=secret#secret", "#"),
            ("redis://h?auth_token=secret&db=0", "&db=0"),
            ("redis+cluster://h,,i", "names no host"),
            ("redis+cluster://h/1", "no databases but 0"),
        ):
            with self.assertRaisesRegex(ValueError, why) as caught:
                parse_url(bad)
            self.assertIn("expected redis://", str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_tls(self) -> None:
        """An additional s means TLS, and options say whom to trust."""
        self.assertEqual(
            parse_url("rediss://h:1?ca=/a%20b.pem&name=redis.example"),
            RedisURL(host="h", port=1, tls=TLS(ca="/a b.pem", name="redis.example")),
        )
        self.assertEqual(
            parse_url("rediss+cluster://h?verify=no").tls, TLS(verify=False)
        )
        own = parse_url("rediss+sentinel://h/s?cert=c&key=k").tls
        self.assertEqual(own, TLS(cert="c", key="k"))

    def test_sentinel(self) -> None:
        """Sentinels are named with what they call the service."""
        url = parse_url(
            "redis+sentinel://u:p@h,[::1]:7,i:8/my%20db/3"
            "?role=any&sentinel_user=w&sentinel_password=s&client_name=me"
            "&min_other_sentinels=2"
        )
        self.assertEqual(
            url,
            RedisURL(
                kind=Kind.SENTINEL,
                host="h",
                port=26379,
                others=(("::1", 7), ("i", 8)),
                service="my db",
                db=3,
                username="u",
                password="p",
                role="any",
                sentinel_user="w",
                sentinel_password="s",
                min_other_sentinels=2,
                client_name="me",
            ),
        )
        self.assertNotIn("'s'", repr(url))
        self.assertEqual(
            url.at(("j", 9)).addresses,
            (("j", 9),),
        )

    def test_cluster(self) -> None:
        """Of a cluster, some nodes are named."""
        url = parse_url("redis+cluster://h,i:8?read=replica")
        self.assertEqual(url.addresses, (("h", 6379), ("i", 8)))
        self.assertEqual((url.kind, url.read), (Kind.CLUSTER, "replica"))

    @given(st.text())
    def test_anything(self, text: str) -> None:
        """Any text is a URL or a ValueError."""
        for prefix in ("", "redis://", "unix://", "redis+sentinel://h/"):
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
            ("rediss://h/1?ca=x", "rediss://h:6379/1"),
            ("redis+sentinel://:secret@h,i/s", "redis+sentinel://h:26379,i:26379/s/0"),
            ("rediss+cluster://h,[::1]", "rediss+cluster://h:6379,[::1]:6379"),
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
        for host, kind in (
            ("127.0.0.1", TCP4ClientEndpoint),
            ("[::1]", TCP6ClientEndpoint),
        ):
            place = parse_url(f"redis://{host}").endpoint(reactor, 1.0, "x")
            self.assertIsInstance(place, kind)
