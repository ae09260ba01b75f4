# -*- test-case-name: tests.redis.test_commands -*-
"""
The commands as typed methods: what each takes, and what it gives, the same from
a server that speaks RESP2 as from one that speaks RESP3.  A command that has no
method here, or an option that is newer than they are, goes to C{execute}.

C{shapes} makes values of replies; C{base} is what the generated C{on_…}, one for
each group of commands or part of a large one, are made of; C{queued} has them for
what sends commands later.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sockhost.interfaces import IRedis
from sockhost.redis.commands.base import Caller
from sockhost.redis.commands.on_bitmap import BitmapCommands
from sockhost.redis.commands.on_cluster import ClusterCommands
from sockhost.redis.commands.on_cluster_slots import ClusterSlotsCommands
from sockhost.redis.commands.on_connection import ConnectionCommands
from sockhost.redis.commands.on_connection_others import ConnectionOthersCommands
from sockhost.redis.commands.on_generic import GenericCommands
from sockhost.redis.commands.on_generic_expiry import GenericExpiryCommands
from sockhost.redis.commands.on_generic_moves import GenericMovesCommands
from sockhost.redis.commands.on_geo import GeoCommands
from sockhost.redis.commands.on_geo_radius import GeoRadiusCommands
from sockhost.redis.commands.on_hash import HashCommands
from sockhost.redis.commands.on_hash_expiry import HashExpiryCommands
from sockhost.redis.commands.on_hyperloglog import HyperloglogCommands
from sockhost.redis.commands.on_list import ListCommands
from sockhost.redis.commands.on_pubsub import PubsubCommands
from sockhost.redis.commands.on_scripting import ScriptingCommands
from sockhost.redis.commands.on_server import ServerCommands
from sockhost.redis.commands.on_server_commands import ServerCommandsCommands
from sockhost.redis.commands.on_server_insight import ServerInsightCommands
from sockhost.redis.commands.on_server_settings import ServerSettingsCommands
from sockhost.redis.commands.on_server_users import ServerUsersCommands
from sockhost.redis.commands.on_session import SessionCommands
from sockhost.redis.commands.on_set import SetCommands
from sockhost.redis.commands.on_sorted_set import SortedSetCommands
from sockhost.redis.commands.on_sorted_set_combined import SortedSetCombinedCommands
from sockhost.redis.commands.on_sorted_set_pops import SortedSetPopsCommands
from sockhost.redis.commands.on_sorted_set_ranges import SortedSetRangesCommands
from sockhost.redis.commands.on_stream import StreamCommands
from sockhost.redis.commands.on_stream_groups import StreamGroupsCommands
from sockhost.redis.commands.on_string import StringCommands
from sockhost.redis.commands.on_string_numbers import StringNumbersCommands
from sockhost.redis.commands.on_string_pieces import StringPiecesCommands
from sockhost.redis.commands.shapes import Claimed, StreamEntry

__all__ = ["Claimed", "Commands", "SessionCommands", "StreamEntry", "TypedRedis"]


class Commands(
    BitmapCommands,
    ClusterCommands,
    ClusterSlotsCommands,
    ConnectionCommands,
    ConnectionOthersCommands,
    GenericCommands,
    GenericExpiryCommands,
    GenericMovesCommands,
    GeoCommands,
    GeoRadiusCommands,
    HashCommands,
    HashExpiryCommands,
    HyperloglogCommands,
    ListCommands,
    PubsubCommands,
    ScriptingCommands,
    ServerCommands,
    ServerCommandsCommands,
    ServerInsightCommands,
    ServerSettingsCommands,
    ServerUsersCommands,
    SetCommands,
    SortedSetCommands,
    SortedSetCombinedCommands,
    SortedSetPopsCommands,
    SortedSetRangesCommands,
    StreamCommands,
    StreamGroupsCommands,
    StringCommands,
    StringNumbersCommands,
    StringPiecesCommands,
):
    """
    All commands that may be sent on a connection that others share.  Each
    method sends its command by C{execute}, and fails and cancels as that does.
    """


class TypedRedis(Commands):
    """
    The commands over any L{IRedis<sockhost.interfaces.IRedis>}, or anything
    else that has its C{execute}.  Options of that call are given once::

        patient = TypedRedis(client, timeout=60.0)
        await patient.keys("*")
    """

    def __init__(self, redis: IRedis | Caller, **options: Any) -> None:
        """
        @param options: keyword arguments for each call of C{execute}.
        """
        self._redis: Any = redis
        self._options = options

    def execute(self, *args: bytes | str | int | float) -> Deferred[Any]:
        """Send one command with the options."""
        sent: Deferred[Any] = self._redis.execute(*args, **self._options)
        return sent
