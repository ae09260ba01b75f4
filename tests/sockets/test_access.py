"""
Tests for L{sockhost.sockets.access}.
"""

from __future__ import annotations

import ctypes
import errno
import os
from array import array
from collections.abc import Sequence
from grp import getgrgid
from pwd import getpwuid
from socket import SOL_SOCKET
from struct import pack
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import SockhostError
from sockhost.sockets.access import (
    EVERYBODY,
    Access,
    Rules,
    access_rule,
    group_id,
    parse_rules,
    user_id,
)
from sockhost.sockets.credentials import PeerCredentials, peer_groups

SO_PEERCRED, SO_PEERGROUPS = 17, 59


class FakePeer:
    """
    The socket of a client with these credentials.

    @ivar asked: how often its supplementary groups were asked for.
    """

    def __init__(self, uid: int, gid: int, groups: Sequence[int] = ()) -> None:
        self._cred = pack("=iII", 42, uid, gid)
        self._groups = array("I", groups).tobytes()
        self.asked = 0

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes:
        """Answer as the kernel does, and refuse what Python does."""
        if name == SO_PEERCRED:
            return self._cred
        assert name == SO_PEERGROUPS
        self.asked += 1
        if size > 1024:
            raise OSError("getsockopt buflen out of range")
        if len(self._groups) > size:
            raise OSError(errno.ERANGE, "too small")
        return self._groups

    def fileno(self) -> int:
        """Its descriptor, which only L{Libc} knows."""
        return 4711


class Libc:
    """
    A C library that tells of a L{FakePeer} what Python's C{getsockopt} does not.

    @ivar error: what it fails with, or 0.
    """

    def __init__(self, groups: Sequence[int], error: int = 0) -> None:
        self._groups = array("I", groups).tobytes()
        self.error = error

    def getsockopt(self, fd: int, level: int, name: int, room: Any, size: Any) -> int:
        """Answer as the kernel does."""
        assert (fd, level, name) == (4711, SOL_SOCKET, SO_PEERGROUPS)
        if self.error:
            ctypes.set_errno(self.error)
            return -1
        assert size._obj.value >= len(self._groups)
        ctypes.memmove(room, self._groups, len(self._groups))
        size._obj.value = len(self._groups)
        return 0


class RuleTests(SynchronousTestCase):
    """Tests for L{parse_rules} and L{access_rule}."""

    def test_kinds_of_rules(self) -> None:
        """Users and groups are given by name or number, and C{*} is anybody."""
        user = getpwuid(os.getuid()).pw_name
        group = getgrgid(os.getgid()).gr_name
        found = parse_rules((user, "4711", f"%{group}", "%12"))
        self.assertEqual(found.users, {os.getuid(), 4711})
        self.assertEqual(found.groups, {os.getgid(), 12})
        self.assertFalse(found.anybody)
        self.assertTrue(parse_rules(["*"]).anybody)

    def test_unknown(self) -> None:
        """A user or group that does not exist is named."""
        error = self.assertRaises(SockhostError, parse_rules, ["no-such-user"])
        self.assertIn("user called 'no-such-user'", str(error))
        error = self.assertRaises(SockhostError, parse_rules, ["%no-such-group"])
        self.assertIn("group called 'no-such-group'", str(error))

    def test_numbers(self) -> None:
        """Numbers stand for themselves."""
        self.assertEqual((user_id(7), user_id("7")), (7, 7))
        self.assertEqual((group_id(8), group_id("8")), (8, 8))

    def test_malformed(self) -> None:
        """What can be no rule is refused by the configuration."""
        access_rule(None, None, ("root", "0", "%adm", "%4", "*"))
        for bad in ("", "%", "a b", "*x", "%%a", "a:b", "a,b"):
            self.assertRaises(ValueError, access_rule, None, None, (bad,))


class MatchTests(SynchronousTestCase):
    """Tests for L{Rules.match}."""

    def match(self, rules: Rules, peer: FakePeer) -> bool:
        """Match what the kernel tells."""
        return Access(rules).admits_socket(peer)

    def test_user(self) -> None:
        """A user matches by number, also the one with the number 0."""
        rules = Rules(users=frozenset({0}))
        self.assertTrue(self.match(rules, FakePeer(0, 5)))
        self.assertFalse(self.match(rules, FakePeer(5, 0)))

    def test_groups(self) -> None:
        """A client matches by its primary and by its supplementary groups."""
        rules = Rules(groups=frozenset({7}))
        self.assertTrue(self.match(rules, FakePeer(1, 7)))
        self.assertTrue(self.match(rules, FakePeer(1, 2, [5, 6, 7])))
        self.assertFalse(self.match(rules, FakePeer(1, 2, [5, 6])))

    def test_many_groups(self) -> None:
        """Somebody may be in thousands of groups, more than Python asks for."""
        self.libc(Libc(range(100, 5000)))
        peer = FakePeer(1, 2, range(100, 5000))
        self.assertTrue(self.match(Rules(groups=frozenset({4999})), peer))
        self.assertEqual(peer_groups(peer), tuple(range(100, 5000)))

    def test_some_groups(self) -> None:
        """As many groups as Python asks for take no other way."""
        peer = FakePeer(1, 2, range(256))
        self.assertEqual(peer_groups(peer), tuple(range(256)))

    def test_many_groups_fail(self) -> None:
        """What the kernel refuses then is told, too."""
        self.libc(Libc((), errno.EBADF))
        error: Any = self.assertRaises(OSError, peer_groups, FakePeer(1, 2, range(257)))
        self.assertEqual(error.errno, errno.EBADF)

    def libc(self, libc: Libc) -> None:
        """Put a C library in place of the real one."""
        self.patch(ctypes, "CDLL", lambda *_args, **_options: libc)

    def test_groups_only_if_needed(self) -> None:
        """The supplementary groups are not asked for when they decide nothing."""
        peer = FakePeer(1, 2, [3])
        self.match(Rules(users=frozenset({1}), groups=frozenset({3})), peer)
        self.match(Rules(users=frozenset({9})), peer)
        self.assertEqual(peer.asked, 0)

    def test_other_errors(self) -> None:
        """What the kernel refuses for another reason is told."""

        class Broken(FakePeer):
            def getsockopt(self, level: int, name: int, size: int, /) -> bytes:
                raise OSError(errno.ENOPROTOOPT, "unknown")

        self.assertRaises(OSError, peer_groups, Broken(1, 2))


class AccessTests(SynchronousTestCase):
    """Tests for L{Access}."""

    def test_everybody(self) -> None:
        """Without rules all may connect, also those whom the kernel hides."""
        nobody = PeerCredentials()
        self.assertTrue(EVERYBODY.admits(nobody, FakePeer(1, 1)))
        self.assertTrue(Access.parse(()).admits(nobody, FakePeer(1, 1)))

    def test_nobody_refused(self) -> None:
        """Rules that refuse nobody are known as such, so that nothing is asked."""
        for allow in ((), ["*"], ["33", "*"]):
            self.assertIs(Access.parse(allow), EVERYBODY)
            self.assertIsNot(Access.parse(allow, ["33"]), EVERYBODY)
        self.assertIsNot(Access.parse(["33"]), EVERYBODY)

    def test_allow(self) -> None:
        """With C{allow} only those who are named may, and root is no exception."""
        access = Access.parse(["33"])
        self.assertTrue(access.admits_socket(FakePeer(33, 33)))
        self.assertFalse(access.admits_socket(FakePeer(0, 0)))

    def test_hidden(self) -> None:
        """One whom the kernel hides is not among those who are named."""
        access = Access.parse(["33", "%33"])
        self.assertFalse(access.admits(PeerCredentials(), FakePeer(1, 1)))

    def test_deny_wins(self) -> None:
        """One who is denied may not, even if allowed."""
        access = Access.parse(["*"], ["1000", "%5"])
        self.assertTrue(access.admits_socket(FakePeer(1001, 1)))
        self.assertFalse(access.admits_socket(FakePeer(1000, 1)))
        self.assertFalse(access.admits_socket(FakePeer(1001, 1, [5])))

    @given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)), st.integers(0, 5))
    def test_set_algebra(self, allow: list[int], deny: list[int], uid: int) -> None:
        """Those may who are allowed, or when nobody is, and not denied."""
        access = Access.parse(map(str, allow), map(str, deny))
        may = (not allow or uid in allow) and uid not in deny
        self.assertEqual(access.admits_socket(FakePeer(uid, 99)), may)
