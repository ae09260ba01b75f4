"""
Tests for L{sockhost.sockets.credentials}.
"""

from __future__ import annotations

from socket import SO_PEERCRED, SOL_SOCKET
from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.credentials import PeerCredentials, peer_credentials


class FakeOptions:
    """A socket that has only the credentials of its peer."""

    def __init__(self, pid: int, uid: int, gid: int) -> None:
        self._answer = pack("=iII", pid, uid, gid)

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes:
        """Answer this one question."""
        assert (level, name, size) == (SOL_SOCKET, SO_PEERCRED, 12)
        return self._answer

    def fileno(self) -> int:
        """Nobody asks for it."""
        raise NotImplementedError


class PeerCredentialsTests(SynchronousTestCase):
    """Tests for L{peer_credentials}."""

    def test_known(self) -> None:
        """What the kernel tells is what one gets."""
        found = peer_credentials(FakeOptions(4242, 1000, 100))
        self.assertEqual(found, PeerCredentials(pid=4242, uid=1000, gid=100))

    def test_unknown(self) -> None:
        """What the kernel does not tell is C{None}."""
        found = peer_credentials(FakeOptions(0, 0xFFFFFFFF, 0xFFFFFFFF))
        self.assertEqual(found, PeerCredentials(None, None, None))

    def test_root(self) -> None:
        """The numbers of root are not taken for unknown."""
        self.assertEqual(peer_credentials(FakeOptions(1, 0, 0)).uid, 0)
