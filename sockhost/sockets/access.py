# -*- test-case-name: tests.sockets.test_access -*-
"""
Who may connect to a socket: rules about users and groups, applied to what the
kernel tells of a client before anything else is done with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from grp import getgrnam
from pwd import getpwnam

from attrs import field, frozen

from sockhost.interfaces import SockhostError
from sockhost.sockets.credentials import (
    HasSocketOptions,
    PeerCredentials,
    peer_credentials,
    peer_groups,
)

ANYBODY = "*"
RULE_EXPECTED = (
    'expected a user\'s name or number, "%" and a group\'s name or number, or "*"'
)


def access_rule(_instance: object, _attribute: object, value: Iterable[str]) -> None:
    """
    Accept rules that are well-formed.  Whether there are such users and groups
    is found out when the socket is made.

    @raise ValueError: one is not.
    """
    for rule in value:
        name = rule.removeprefix("%")
        if not name or (any(c in name for c in "%*:, \t\n\0") and rule != ANYBODY):
            raise ValueError(RULE_EXPECTED)


@frozen
class Rules:
    """
    Users and groups.

    @ivar users: their numbers.
    @ivar groups: their numbers.
    @ivar anybody: C{True} if everyone is meant.
    """

    users: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()
    anybody: bool = False

    def match(self, peer: PeerCredentials, connection: HasSocketOptions) -> bool:
        """
        Say whether a client is meant.  The kernel is asked for its
        supplementary groups only if that decides.
        """
        if self.anybody or peer.uid in self.users or peer.gid in self.groups:
            return True
        return bool(self.groups) and not self.groups.isdisjoint(peer_groups(connection))


def parse_rules(rules: Iterable[str]) -> Rules:
    """
    Look up users and groups.

    @param rules: C{"www-data"} or C{"33"} for a user, C{"%adm"} or C{"%4"} for
        a group, be it the client's primary or a supplementary one, C{"*"} for
        anybody.
    @raise SockhostError: there is no such user or group.
    """
    users, groups, anybody = set(), set(), False
    for rule in rules:
        if rule == ANYBODY:
            anybody = True
        elif rule.startswith("%"):
            groups.add(group_id(rule[1:]))
        else:
            users.add(user_id(rule))
    return Rules(frozenset(users), frozenset(groups), anybody)


def user_id(user: str | int) -> int:
    """
    Find the number of a user.

    @param user: a name, or a number, also one in digits.
    @raise SockhostError: there is no such user.
    """
    if isinstance(user, int) or (user.isascii() and user.isdigit()):
        return int(user)
    try:
        return getpwnam(user).pw_uid
    except KeyError:
        raise SockhostError(f"there is no user called {user!r}") from None


def group_id(group: str | int) -> int:
    """
    Find the number of a group.

    @param group: a name, or a number, also one in digits.
    @raise SockhostError: there is no such group.
    """
    if isinstance(group, int) or (group.isascii() and group.isdigit()):
        return int(group)
    try:
        return getgrnam(group).gr_gid
    except KeyError:
        raise SockhostError(f"there is no group called {group!r}") from None


@frozen
class Access:
    """
    Decides who may connect.  A client that C{deny} means is refused; of the
    others all may connect if C{allow} is C{None}, else those that it means.
    Nobody is exempt, not even root.
    """

    allow: Rules | None = None
    deny: Rules = field(factory=Rules)

    @classmethod
    def parse(cls, allow: Iterable[str], deny: Iterable[str] = ()) -> Access:
        """
        Make it from what a configuration says, see L{parse_rules}.

        @param allow: empty to allow everybody.
        @return: L{EVERYBODY} if nobody is refused.
        @raise SockhostError: there is no such user or group.
        """
        allowed, denied = parse_rules(allow), parse_rules(deny)
        anybody = allowed.anybody or allowed == Rules()
        if anybody and denied == Rules():
            return EVERYBODY
        return cls(None if anybody else allowed, denied)

    def admits(self, peer: PeerCredentials, connection: HasSocketOptions) -> bool:
        """
        Decide about a client.

        @param peer: who it is.
        @param connection: its socket, to ask for more.
        """
        if self.deny.match(peer, connection):
            return False
        return self.allow is None or self.allow.match(peer, connection)

    def admits_socket(self, connection: HasSocketOptions) -> bool:
        """Decide about the client at the other end of a socket."""
        return self.admits(peer_credentials(connection), connection)


EVERYBODY = Access()
"""Refuses nobody: what the socket's file permits is all that counts."""
