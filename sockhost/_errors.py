"""
Every exception of sockhost, named for what its catcher can do next.  Import
them from L{sockhost.interfaces}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class SockhostError(Exception):
    """
    The base of every error that sockhost raises on purpose.  The text is meant
    for the person who runs the host.
    """


class ConfigError(SockhostError):
    """
    A configuration cannot be used.  Nothing of it was applied.

    @ivar problems: every problem that was found, in the order of the files.
        Each has C{file}, C{key}, C{value} and C{expected}, and its C{str} is
        one complete sentence.
    """

    def __init__(self, problems: Sequence[Any]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class HostLocked(SockhostError):
    """
    Another host holds the run directory.  Nothing in it was touched.

    @ivar owner: the process id of the holder, or C{None} where the system
        does not tell it.
    """

    def __init__(self, path: str, owner: int | None) -> None:
        holder = "another process" if owner is None else f"process {owner}"
        super().__init__(f"a host already runs here: {holder} holds {path}")
        self.path = path
        self.owner = owner


class StartupFailed(SockhostError):
    """The host could not be brought to the point where its units start."""


class NoSuchUnit(SockhostError):
    """
    A unit was asked for that the host does not have.

    @ivar name: the name that was asked for.
    """

    def __init__(self, name: str, known: Sequence[str] = ()) -> None:
        listed = ", ".join(known) or "none"
        super().__init__(f"no unit is called {name!r}; units here: {listed}")
        self.name = name


class NoClients(SockhostError):
    """
    The clients of a unit were asked for, and it is not of a kind that has any.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"unit {name!r} has no clients: it is no socket")
        self.name = name


class NoSuchClient(SockhostError):
    """
    A client was meant that is not connected to the unit, or not any more.

    @ivar client: its id.
    """

    def __init__(self, name: str, client: str) -> None:
        super().__init__(f"no client {client!r} is connected to {name!r}")
        self.name = name
        self.client = client


class UnitLost(SockhostError):
    """
    A unit that was starting or up is not running any more.

    @ivar success: C{True} if this is the way the unit is meant to end, so that
        C{restart = "on-failure"} leaves it alone.
    """

    def __init__(self, reason: str, success: bool = False) -> None:
        super().__init__(reason)
        self.success = success


class ProcessLost(UnitLost):
    """
    The process that a unit is made of ended.

    @ivar code: its exit code, or C{None} if a signal ended it.
    @ivar signal: the number of the signal that ended it, or C{None}.
    """

    def __init__(
        self, reason: str, code: int | None, signal: int | None, success: bool = False
    ) -> None:
        super().__init__(reason, success)
        self.code = code
        self.signal = signal


class UnitFailed(SockhostError):
    """
    A unit did not reach its goal and its keeper has given up, or cannot try:
    the text is the reason that C{sockhost status} shows.
    """


class UnitStuck(SockhostError):
    """
    Something of a unit is left that cannot be ended.  Nothing is started over
    it: whoever says C{stop} or C{start} has its end tried again.
    """


class GoalChanged(SockhostError):
    """
    What was waited for was abandoned: the unit was meanwhile told to go the
    other way.
    """


class SpawnError(SockhostError):
    """
    A program could not be executed.  No process is left of the attempt.

    @ivar errno: the error number that the system gave.
    @ivar path: the program, or the directory that it was to run in.
    """

    def __init__(self, errno: int, path: str, reason: str) -> None:
        super().__init__(f"cannot execute {path}: {reason} (errno {errno})")
        self.errno = errno
        self.path = path


class NotReady(SockhostError):
    """
    A unit was started but did not become ready in the time that it was given.
    """


class FrameError(SockhostError):
    """
    Bytes arrived that are no frame.  The stream cannot be continued.
    """


class Refused(SockhostError):
    """
    Raised by L{ISocketHandler.connected} to turn a client away: the client
    sees the connection close, and C{disconnected} is not called for it.
    """


class Disconnected(SockhostError):
    """
    A client is gone, or is being dropped.  The text says why.

    @ivar clean: C{True} if the client closed its connection between two
        frames.
    """

    def __init__(self, reason: str, clean: bool = False) -> None:
        super().__init__(reason)
        self.clean = clean


class NoAnswer(SockhostError):
    """
    An answer did not come in time.  What was asked for may be done all the
    same, or not; the answer is discarded if it comes.
    """


class PathInUse(SockhostError):
    """
    A socket cannot be made at a path: something is there that is not ours to
    remove (a live listener, or a file that is not a socket).  It was left
    untouched.
    """


class RedisError(SockhostError):
    """The base of the errors of the Redis client."""


class RedisReplyError(RedisError):
    """
    The server answered this command with an error.  The connection goes on.

    @ivar code: the first word of the error, C{"ERR"}, C{"WRONGTYPE"}, …
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.split(" ", 1)[0]


class RedisMaxClients(RedisReplyError):
    """The server has as many clients as it takes, and has hung up."""


class RedisLoading(RedisReplyError):
    """The server is not ready yet: it reads its data.  Try again later."""


class RedisDenied(RedisReplyError):
    """
    The server does not let this user do it, or does not let anybody in: wrong
    credentials, no permission, protected mode.
    """


class RedisConnectionError(RedisError):
    """
    The command was not sent: there is no connection, and waiting for one is
    not wanted or took too long.  Running it again is safe.
    """


class RedisQueueFull(RedisConnectionError):
    """
    The command was not sent: as many as are allowed are waiting already.
    Waiting for some of them is the remedy.
    """


class MaybeExecuted(RedisConnectionError):
    """
    The connection was lost, or time ran out, after the command had been handed
    to it and before its reply came.  The server may or may not have executed it.
    """


class CommandTimeout(MaybeExecuted):
    """
    No reply came within the time that the command was given.  The server may
    or may not have executed it.  The connection goes on.
    """


class TransactionConflict(RedisError):
    """
    A key that was watched has changed: nothing of the transaction was
    executed.  Read anew and try again.
    """


class LockTaken(RedisError):
    """Somebody else held the lock for as long as it was waited for."""


class LockLost(RedisError):
    """
    A lock is not held any more, or it cannot be known whether it is: somebody
    else may hold it.
    """


class RedisProtocolError(RedisError):
    """The server sent bytes that are not its protocol.  The connection is closed."""
