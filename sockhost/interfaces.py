"""
Every interface and every exception of sockhost: the contracts that the rooms
keep towards each other and that plugins build on.  There is no logic here.

Two rules hold for every method that returns a L{Deferred}:

    - it never raises synchronously for a reason that can arise at run time;
      such a reason fails the Deferred;
    - its docstring says when it fires, how it fails, and what cancelling does.
      Where a docstring is silent on cancelling, cancelling has no effect on
      the work: it only detaches the caller.

Times are in seconds and sizes in bytes, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProcessProtocol
    from twisted.python.failure import Failure

    from sockhost.status import Event, HostStatus, UnitStatus


# -- exceptions ---------------------------------------------------------------


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
        super().__init__(
            f"{path} is locked by {holder}: a host already runs on this run directory"
        )
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


class RedisConnectionError(RedisError):
    """
    The command was not sent: there is no connection, and waiting for one is
    not wanted or took too long.  Running it again is safe.
    """


class MaybeExecuted(RedisConnectionError):
    """
    The connection was lost after the command had been handed to it and before
    its reply came.  The server may or may not have executed it.
    """


class RedisProtocolError(RedisError):
    """The server sent bytes that are not its protocol.  The connection is closed."""


# -- units --------------------------------------------------------------------


class IUnit(Interface):
    """
    A named thing that the host keeps running.  A unit does not restart itself:
    it says what happens to it, and its keeper decides.

    A keeper calls C{start} and C{stop} in turns; it never calls C{start} while
    an earlier C{start} or C{stop} is under way, but may call C{stop} while a
    C{start} is.
    """

    def start(lost: Callable[[Failure], None]) -> Deferred[None]:
        """
        Bring the unit up.

        @param lost: to be called once if the unit stops running after it was
            ready and without having been told to stop, with a failure that is
            best a L{UnitLost}.  When it is called, nothing of the unit is left.
            It must not be called before the Deferred has fired, nor after
            L{stop} was called.

        @return: fires with C{None} when the unit is I{ready}: when it does
            what others rely on it for.  Fails when it cannot; then nothing of
            the attempt is left.  A failure with L{UnitLost} whose C{success} is
            true says that the unit has already ended as it is meant to.
        """

    def stop() -> Deferred[None]:
        """
        Take the unit down, with whatever grace its configuration gives it.
        Legal at any time, also during L{start} (whose Deferred then fails with
        L{CancelledError<twisted.internet.defer.CancelledError>} or never
        fires), and when the unit is already down.

        @return: fires with C{None} when nothing of the unit is left: no
            process, descriptor, timer or file.  Failing means that something
            of it is still there; the text says what.
        """

    def abort() -> None:
        """
        Cut short the grace of a stop that is under way.  The Deferred of
        L{stop} still fires as promised, only sooner.  No effect when no stop
        is under way.
        """

    def reload(config: Any) -> Deferred[bool]:
        """
        Take a new configuration while running.

        @param config: an instance of the kind's C{config_class}.

        @return: fires with C{True} if the unit goes on with the new
            configuration, or with C{False} for "restart me": the keeper then
            makes the unit anew from the configuration.  Fails if the unit goes
            on with the old one.
        """

    def status() -> Mapping[str, object]:
        """
        Say what is particular to this unit: process id, path, counters.

        @return: a mapping whose values C{json} can write.  Cheap: called for
            every status request, in every state.
        """


class IUsableUnit(IUnit):
    """
    A unit that handlers get by its name: C{uses = ["store"]} in a unit's table
    lets its handler call C{host.use("store")}.
    """

    def client() -> object:
        """
        The object that L{IUnitHost.use} returns.  It is the same for the life
        of the unit, through every loss and restart, and is usable before the
        unit is up in the way that its own interface describes.
        """


class IUnitKind(Interface):
    """
    Makes units from a table of the configuration.  Kinds are found as
    L{twisted.plugin.IPlugin} providers, so an installed package adds its own
    by a module in C{twisted/plugins/}.
    """

    name = Attribute("What C{kind =} says in the configuration (a C{str}).")
    config_class = Attribute(
        """
        A frozen attrs class: its fields are the keys of a unit's table beyond
        the common ones.  A field's type, default and validator decide what is
        accepted.  An instance must not change after it was made.
        """
    )
    portable = Attribute(
        """
        C{True} if units of this kind may also be made inside a worker process,
        for the handlers there.  The class of the kind is then importable and
        callable without arguments.
        """
    )

    def make(name: str, config: Any, host: IUnitHost) -> IUnit:
        """
        Make a unit.  Nothing is opened or started by this.

        @param name: the unit's name, unique in the host.
        @param config: an instance of C{config_class}.
        @param host: what the unit may know of its surroundings.
        @raise Exception: the unit is quarantined with this as the reason.
        """


class ILifecycle(Interface):
    """
    Hooks of the host (C{[host] lifecycle = "module:Class"}) and of handlers.
    Each is optional: an object provides those that it has.  Each may return a
    plain value, a Deferred or be C{async}.
    """

    def startup() -> object:
        """
        Called once, before any socket listens.  An exception or failure ends
        the start: of the host (exit status 70), or of the handler's unit.
        """

    def reconfigure() -> object:
        """
        Called after the configuration was read again (USR1, HUP, C{sockhost
        reload}).  Failures are logged and change nothing.  Not called again
        while an earlier call is under way: such requests become one.
        """

    def reopen_logs() -> object:
        """Called on HUP, before L{reconfigure}.  Failures are logged."""

    def wait() -> object:
        """
        Called when the host is ready.  When it ends, the host shuts down:
        with exit status 0, or 1 and a traceback in the log if it failed.
        It is cancelled when the host stops for another reason.
        """

    def shutdown() -> object:
        """
        Called exactly once if L{startup} succeeded, after everything else has
        stopped.  A failure is logged; the host exits all the same.
        """


class IUnitHost(Interface):
    """What a unit or a handler may know of the host that it lives in."""

    reactor = Attribute("The reactor, never imported by a unit.")
    run_dir = Attribute("Absolute path of the run directory (C{str}).")
    log_dir = Attribute("Absolute path of the directory for logs (C{str}).")
    config_dir = Attribute(
        "Absolute path of the directory of the configuration file (C{str})."
    )

    def use(name: str) -> Any:
        """
        Get what the unit C{name} offers to handlers, such as the client of a
        C{redis} unit.

        @raise NoSuchUnit: there is no such unit, or it was not listed in
            C{uses}, or it offers nothing.
        """

    def publish(event: Event) -> None:
        """Tell every L{INotifier} of an event.  Never raises."""

    def child_kind(name: str) -> IUnitKind:
        """
        Get a kind by name, for units that are made of other units.

        @raise SockhostError: there is no such kind.
        """

    def unit_config(name: str) -> Any:
        """
        Get the L{UnitConfig<sockhost.config.UnitConfig>} of a unit, for a unit
        that makes another one again elsewhere (in a worker).

        @raise NoSuchUnit: there is no such unit.
        """


class IHost(IUnitHost):
    """
    The whole host, as the control API and the metrics see it.  Every method
    that takes a unit's name fails with L{NoSuchUnit} for an unknown one.
    """

    def status() -> HostStatus:
        """Describe the host and all its units, now."""

    def unit_status(name: str) -> UnitStatus:
        """
        Describe one unit, now.

        @raise NoSuchUnit: there is no such unit.
        """

    def log_path(name: str) -> str:
        """
        Say where the output of a unit is written.  The file need not exist.

        @raise NoSuchUnit: there is no such unit.
        """

    def start(name: str, asked_by: str) -> Deferred[None]:
        """
        Set the goal of a unit to C{up}, after those that it requires.

        @param asked_by: who wants this, for the record: C{"cli uid 0"}.
        @return: fires when the unit is up or done.  Fails with L{UnitFailed}
            if its keeper gives up, and with L{GoalChanged} if it is stopped
            meanwhile.
        """

    def stop(name: str, asked_by: str) -> Deferred[None]:
        """
        Set the goal of a unit to C{down}.

        @return: fires when nothing of the unit is left; fails with
            L{GoalChanged} if it is started meanwhile.
        """

    def restart(name: str, asked_by: str) -> Deferred[None]:
        """
        Take a unit down and up again, whatever state it is in.  Fires and
        fails like L{start}.
        """

    def reload(name: str, asked_by: str) -> Deferred[bool]:
        """
        Give a unit its present configuration again, from the file as it was
        last read.

        @return: fires with C{True} when the unit took it in place and with
            C{False} when it was restarted for it.
        """

    def reconfigure(asked_by: str) -> Deferred[Mapping[str, Sequence[str]]]:
        """
        Read the configuration file again and change what changed.

        @return: fires with the names under C{"added"}, C{"removed"},
            C{"changed"} and C{"unchanged"} once the changes are under way and
            the removed units are gone.  Fails with L{ConfigError}, having
            changed nothing, if the file is bad.
        """

    def reopen_logs() -> None:
        """Close and open again every log file, for an outside log rotation."""

    def shutdown(asked_by: str) -> None:
        """
        Begin the ordered stop.  Further calls cut short what grace is left;
        no hook runs twice.
        """

    def subscribe(notifier: INotifier) -> Callable[[], None]:
        """
        Have a notifier told of every event from now on.

        @return: call it to end the subscription; more calls do nothing.
        """


class INotifier(Interface):
    """Is told what happens in the host."""

    def notify(event: Event) -> None:
        """
        Take note of an event.  Called in the order of the events, after the
        decision that the event reports.  Must not block; an exception is
        logged and costs nobody else the event.
        """


# -- sockets ------------------------------------------------------------------


class ICodec(Interface):
    """
    Bytes in, messages out, and back.  A codec does no I/O and holds the state
    of one stream.
    """

    error = Attribute(
        """
        C{None}, or the L{FrameError} that ended the stream.  Once set, it stays
        set, and L{feed} returns nothing any more.
        """
    )
    buffered = Attribute("How many bytes of an incomplete message are held (C{int}).")

    def feed(data: bytes) -> Sequence[bytes]:
        """
        Take bytes from the stream, cut at any place.

        @return: the payloads of the messages that are complete now, in order.
            Messages in front of bad bytes are returned, and L{error} is set.
            Messages behind them are not.
        """

    def encode(payload: bytes) -> bytes:
        """
        Make the bytes that carry one message.

        @raise FrameError: the payload cannot be carried, being too large.
        """


class IClient(Interface):
    """One connected client of a framed socket, as its handler sees it."""

    id = Attribute("A number that no other client of this process has had.")
    pid = Attribute("The client's process id as the kernel tells it, or C{None}.")
    uid = Attribute("The client's effective user id when it connected, or C{None}.")
    gid = Attribute("The client's effective group id when it connected, or C{None}.")
    connected_at = Attribute("When it was accepted: seconds since the epoch.")
    connected = Attribute("C{False} once the client is gone or was dropped.")
    data = Attribute("Free for the handler: whatever it keeps for this client.")

    def send(payload: bytes) -> Deferred[None]:
        """
        Send one frame, at any time while the client is connected.

        @return: fires when the whole frame was handed to the kernel.  Fails
            with L{Disconnected} if the client goes first, and with
            L{FrameError} if the payload is too large.
        """

    def drop(reason: str) -> None:
        """
        End the connection once what was queued before is sent.  The handler's
        C{disconnected} gets the reason.
        """


class ISocketHandler(Interface):
    """
    What a plugin author writes.  A handler is made once for each process that
    serves the socket, by calling the class that C{handler = "module:Class"}
    names with the L{IUnitHost} and the keys of C{options} as keyword arguments.
    It may have any of the hooks of L{ILifecycle} too.

    Each method may return a plain value, a Deferred or be C{async}.
    """

    def connected(client: IClient) -> object:
        """
        A client was accepted.  No frame of it is read before this has ended.

        @raise Refused: turn the client away.  Any other exception does the
            same and is logged.
        """

    def received(client: IClient, frame: bytes) -> object:
        """
        A frame arrived.  Frames of one client are handed over without waiting
        for earlier answers, so later answers of one client may overtake.

        @param frame: the payload, without the length in front of it.
        @return: C{bytes} to answer with one frame now, a Deferred or a
            coroutine of C{bytes} to answer when it fires, C{None} for no
            answer.  An exception or failure is logged and drops this client,
            after the earlier answers were sent.
        """

    def disconnected(client: IClient, reason: Disconnected) -> object:
        """
        A client is gone.  Called exactly once for every client whose
        C{connected} ended without refusing it.  Its unanswered requests were
        cancelled before.
        """


# -- processes ----------------------------------------------------------------


class ISpawner(Interface):
    """Starts processes.  The only way in which sockhost makes any."""

    def spawn(spec: Any, protocol: IProcessProtocol) -> IChild:
        """
        Execute a program.

        @param spec: a L{ChildSpec<sockhost.processes.spec.ChildSpec>}.
        @param protocol: is told of output and of the end, in Twisted's order:
            C{makeConnection} before this returns, C{processExited} when the
            process was reaped, C{processEnded} when its output is complete
            besides (or has been given up on).
        @raise SpawnError: it cannot be executed; nothing is left.
        """


class IChild(Interface):
    """
    One spawned process, the leader of its own session and process group.
    Also provides L{IProcessTransport<twisted.internet.interfaces.IProcessTransport>}.
    """

    pid = Attribute("The process id, or C{None} once it was reaped.")

    def signal_group(signum: int) -> bool:
        """
        Send a signal to every process of the child's group, also when the
        child itself is gone but others of its group are not.

        @return: C{False} if no process of the group is left.
        """


# -- redis --------------------------------------------------------------------


class IRedis(Interface):
    """
    A Redis client: many commands may be outstanding on its one connection, and
    every reply goes to the command that it answers.
    """

    connected = Attribute("C{True} while there is a usable connection.")

    def execute(*args: bytes | str | int | float) -> Deferred[Any]:
        """
        Send one command.

        @return: fires with the reply, with bytes exactly as the server sent
            them.  Fails with L{RedisReplyError} if the server says so, with
            L{RedisConnectionError} if the command was not sent, and with
            L{MaybeExecuted} if its reply was lost.  Cancelling a command that
            was not sent withdraws it; cancelling a sent one discards its reply
            when that comes, and the command is executed all the same.
        """

    def when_connected() -> Deferred[None]:
        """
        Fires when there is a connection, at once if there is one.  Fails with
        L{RedisConnectionError} when the client is closed.
        """

    def close(timeout: float = 5.0) -> Deferred[None]:
        """
        Refuse new commands, wait for the replies of those that were sent, and
        close.

        @param timeout: seconds after which outstanding commands fail with
            L{MaybeExecuted} instead of being waited for.
        @return: fires when the connection is gone and every Deferred of every
            command has fired.
        """
