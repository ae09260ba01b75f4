# -*- test-case-name: tests.functional.test_redis_commands -*-
"""
Which module the method of a command belongs to.

That is the group that the server has the command in.  The large groups are
parted by what the names of their commands say, so that no module is too long
to read; what no part takes stays in the module of the group.
"""

from __future__ import annotations

import re

GROUPS = {
    "bitmap": "bits of strings",
    "cluster": "clusters",
    "connection": "connections",
    "generic": "keys of any type",
    "geo": "places",
    "hash": "hashes",
    "hyperloglog": "estimated numbers of elements",
    "list": "lists",
    "pubsub": "channels",
    "scripting": "scripts and functions",
    "server": "the server itself",
    "session": "the state of one connection",
    "set": "sets",
    "sorted-set": "sorted sets",
    "stream": "streams",
    "string": "strings",
}
"""What each group is about."""

PARTS = {
    "cluster": {"slots": (r".*slot", "the slots of a cluster")},
    "connection": {
        "others": (r"client\|(kill|list|(un)?pause|unblock)", "connections of others"),
    },
    "generic": {
        "expiry": (r"p?expire|persist|p?ttl", "how long keys live"),
        "moves": (r"copy|dump|migrate|move|rename|restore", "keys that go elsewhere"),
    },
    "geo": {"radius": (r"georadius", "places within a circle, the old way")},
    "hash": {"expiry": (r"hp?expire|hpersist|hp?ttl|h[gs]etex$", "fields that expire")},
    "server": {
        "users": (r"acl\|", "users, and what they may do"),
        "commands": (r"command\|", "the commands themselves"),
        "settings": (r"config\||module\|", "settings and modules"),
        "insight": (
            r"(commandlog|latency|memory|slowlog)\|",
            "what takes time and memory",
        ),
    },
    "sorted-set": {
        "combined": (r"z(diff|inter|union)", "several sorted sets together"),
        "pops": (r"b?zm?pop", "members that are taken from sorted sets"),
        "ranges": (r"z(rev|rem)?range", "ranges of sorted sets"),
    },
    "stream": {
        "groups": (
            r"xack|x(auto)?claim|xgroup\||xpending|xreadgroup",
            "groups of readers of streams",
        ),
    },
    "string": {
        "numbers": (r"incr|decr", "numbers in strings"),
        "pieces": (r"append|(get|set)range|lcs|strlen|substr", "pieces of strings"),
    },
}
"""The parts of the large groups: the beginnings of names, and what it is about."""


def module_of(group: str, command: str) -> str:
    """
    The group or the part of one that a command belongs to, as C{"group-part"}.

    @param command: its name in lower case.
    """
    for part, (pattern, _) in PARTS.get(group, {}).items():
        if re.match(pattern, command):
            return f"{group}-{part}"
    return group


def text_of(module: str) -> str:
    """What a module is about."""
    parts = {
        f"{group}-{part}": text
        for group, of_group in PARTS.items()
        for part, (_, text) in of_group.items()
    }
    return {**GROUPS, **parts}[module]
