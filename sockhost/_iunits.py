"""
The contracts of units, their kinds and the host.  Import them from
L{sockhost.interfaces}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from sockhost._errors import UnitLost
    from sockhost.status import Event, HostStatus, UnitStatus


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
            best a L{UnitLost}.  When it is called, nothing of the unit is left,
            unless the failure is L{UnitStuck}.
            It must not be called before the Deferred has fired, nor after
            L{stop} was called.

        @return: fires with C{None} when the unit is I{ready}: when it does
            what others rely on it for.  Fails when it cannot; then nothing of
            the attempt is left, unless the failure is L{UnitStuck}: the unit is
            not started again before L{stop} has succeeded.  A failure with
            L{UnitLost} whose C{success} is true says that the unit has already
            ended as it is meant to.
        """

    def stop() -> Deferred[UnitLost | None]:
        """
        Take the unit down, with whatever grace its configuration gives it.
        Legal at any time, also during L{start} (whose Deferred then fails with
        L{CancelledError<twisted.internet.defer.CancelledError>} or never
        fires), and when the unit is already down.

        @return: fires when nothing of the unit is left: no process,
            descriptor, timer or file; with C{None}, or with a L{UnitLost} that
            says how it ended, for the record.  Failing means that something
            of it is still there; the text says what.  Then C{stop} may be
            called again, to end what is left, but not C{start}.
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

    Its C{reload} is called whenever no start or stop is under way, also when
    it is down, so that its client can be kept.
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

    A kind may also have a method C{usual_policy(table)}, which is given a
    unit's table and returns the L{RestartPolicy
    <sockhost.config.RestartPolicy>} that stands in for what the table does not
    say of restarts.
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
    Hooks of the host (C{[host] lifecycle = "module:Class"}) and, all but
    C{wait}, of handlers.  Each is optional: an object provides those that it
    has.  Each may return a plain value, a Deferred or be C{async}.
    """

    def startup() -> object:
        """
        Called once, before any socket listens.  An exception or failure ends
        the start: of the host (exit status 70), or of the handler's unit.
        """

    def reconfigure() -> object:
        """
        Called after the configuration was read again (USR1, HUP, C{sockhost
        reconfigure}).  Failures are logged and change nothing.  Not called again
        while an earlier call is under way: such requests become one.
        """

    def reopen_logs() -> object:
        """
        Called on HUP, before L{reconfigure}, and by C{sockhost reopen-logs}.
        Failures are logged.
        """

    def wait() -> object:
        """
        Called when the host is ready; not of handlers.  When it ends, the host
        shuts down: with exit status 0, or 1 and a traceback in the log if it
        failed.
        It is cancelled when the host stops for another reason.
        """

    def shutdown() -> object:
        """
        Called exactly once if L{startup} succeeded, after everything else has
        stopped.  A failure is logged; the host exits all the same.  Cancelled
        if the host is told to stop once more meanwhile.
        """


class IUnitHost(Interface):
    """What a unit or a handler may know of the host that it lives in."""

    reactor = Attribute("The reactor, never imported by a unit.")
    run_dir = Attribute("Absolute path of the run directory (C{str}).")
    log_dir = Attribute("Absolute path of the directory for logs (C{str}).")
    config_dir = Attribute(
        "Absolute path of the directory of the configuration file (C{str})."
    )
    log_level = Attribute(
        "The least level that is logged (C{str}): debug, info, warn or error."
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
    that takes a unit's name fails with L{NoSuchUnit} for an unknown one, and
    what would start something with L{SockhostError} when the host is stopping.
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
        Set the goal of a unit to C{up}, after those that it requires, and after
        the C{startup} hook of the host.

        @param asked_by: who wants this, for the record: C{"cli uid 0"}.
        @return: fires when the unit is up or done.  Fails with L{UnitFailed}
            if its keeper gives up, and with L{GoalChanged} if it is stopped
            meanwhile.
        """

    def stop(name: str, asked_by: str) -> Deferred[None]:
        """
        Set the goal of a unit to C{down}.

        @return: fires when nothing of the unit is left; fails with
            L{GoalChanged} if it is started meanwhile, and with L{UnitFailed}
            if something of it cannot be ended.
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
            C{False} when it was made anew for it, and restarted if its goal is
            C{up}.
        """

    def clients(name: str) -> Deferred[Sequence[Mapping[str, object]]]:
        """
        Describe the clients that are connected to a unit, see
        L{IClientsUnit.clients}.  Fails with L{NoClients} if it is a unit that
        has none.
        """

    def kick(name: str, client: str, asked_by: str) -> Deferred[None]:
        """
        Drop a client of a unit, see L{IClientsUnit.kick}.  Fails with
        L{NoSuchClient} if there is no such client, and with L{NoClients} as
        L{clients} does.
        """

    def reconfigure(asked_by: str) -> Deferred[Mapping[str, Sequence[str]]]:
        """
        Read the configuration file again and change what changed.

        @return: fires with the names under C{"added"}, C{"removed"},
            C{"changed"} and C{"unchanged"} once the changes are under way and
            the removed units are gone.  Fails with L{ConfigError}, having
            changed nothing, if the file is bad, and with L{SockhostError} if it
            names another run directory, log directory or control socket.
        """

    def reopen_logs() -> None:
        """Close and open again every log file, for an outside log rotation."""

    def shutdown(asked_by: str) -> None:
        """
        Begin the ordered stop.  Further calls cut short what grace is left, and
        the C{shutdown} hook if it has come to that; no hook runs twice.
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


class IListeningUnit(IUnit):
    """A unit that others connect to."""

    def unlisten() -> None:
        """
        Accept nobody any more and remove the socket's file, but let those who
        are connected be.  The first thing that a host does when it stops, to
        all its units.  C{stop} follows.
        """


class IHookedUnit(IUnit):
    """A unit with a handler whose L{ILifecycle} hooks the host may call."""

    def run_hook(name: str) -> Deferred[None]:
        """
        Call the hook C{"reconfigure"} or C{"reopen_logs"} of every copy of
        the handler that runs.

        @return: fires when all have ended; fails with the first failure.
        """


class IClientsUnit(IUnit):
    """A unit whose clients can be looked at one by one, and be dropped."""

    def clients() -> Deferred[Sequence[Mapping[str, object]]]:
        """
        Describe those who are connected.

        @return: fires with a mapping for each, whose values C{json} can write.
            C{"id"} is a string that no other client of the unit has had since
            the process began that serves it.
        """

    def kick(client: str) -> Deferred[bool]:
        """
        Drop a client.  What was queued to it is sent before.

        @param client: its C{"id"}.
        @return: fires with C{True} if there was one.
        """


class ILoggingUnit(IUnit):
    """A unit that writes a log file of its own."""

    def reopen_logs() -> None:
        """Close the file and open the one that now has its name."""
