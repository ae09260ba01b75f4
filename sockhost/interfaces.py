"""
Every interface and every exception of sockhost: the contracts that the rooms
keep towards each other and that plugins build on.  There is no logic here.

Two rules hold for every method that returns a L{Deferred
<twisted.internet.defer.Deferred>}:

    - it never raises synchronously for a reason that can arise at run time;
      such a reason fails the Deferred;
    - its docstring says when it fires, how it fails, and what cancelling does.
      Where a docstring is silent on cancelling, cancelling has no effect on
      the work: it only detaches the caller.

Times are in seconds and sizes in bytes, everywhere.
"""

from __future__ import annotations

from sockhost._errors import (
    CommandTimeout,
    ConfigError,
    Disconnected,
    FrameError,
    GoalChanged,
    HostLocked,
    LockLost,
    LockTaken,
    MaybeExecuted,
    NoAnswer,
    NoClients,
    NoSuchClient,
    NoSuchUnit,
    NotReady,
    PathInUse,
    ProcessLost,
    RedisConnectionError,
    RedisDenied,
    RedisError,
    RedisLoading,
    RedisMaxClients,
    RedisProtocolError,
    RedisQueueFull,
    RedisReplyError,
    Refused,
    SockhostError,
    SpawnError,
    StartupFailed,
    TransactionConflict,
    UnitFailed,
    UnitLost,
    UnitStuck,
)
from sockhost._iparts import (
    IBatchHandler,
    IChild,
    IClient,
    ICodec,
    ICodecKind,
    IRedis,
    ISocketHandler,
    ISpawner,
)
from sockhost._iunits import (
    IClientsUnit,
    IHookedUnit,
    IHost,
    ILifecycle,
    IListeningUnit,
    ILoggingUnit,
    INotifier,
    IUnit,
    IUnitHost,
    IUnitKind,
    IUsableUnit,
)

__all__ = [
    "CommandTimeout",
    "ConfigError",
    "Disconnected",
    "FrameError",
    "GoalChanged",
    "HostLocked",
    "IBatchHandler",
    "IChild",
    "IClient",
    "IClientsUnit",
    "ICodec",
    "ICodecKind",
    "IHookedUnit",
    "IHost",
    "ILifecycle",
    "IListeningUnit",
    "ILoggingUnit",
    "INotifier",
    "IRedis",
    "ISocketHandler",
    "ISpawner",
    "IUnit",
    "IUnitHost",
    "IUnitKind",
    "IUsableUnit",
    "LockLost",
    "LockTaken",
    "MaybeExecuted",
    "NoAnswer",
    "NoClients",
    "NoSuchClient",
    "NoSuchUnit",
    "NotReady",
    "PathInUse",
    "ProcessLost",
    "RedisConnectionError",
    "RedisDenied",
    "RedisError",
    "RedisLoading",
    "RedisMaxClients",
    "RedisProtocolError",
    "RedisQueueFull",
    "RedisReplyError",
    "Refused",
    "SockhostError",
    "SpawnError",
    "StartupFailed",
    "TransactionConflict",
    "UnitFailed",
    "UnitLost",
    "UnitStuck",
]
