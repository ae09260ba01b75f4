# -*- test-case-name: tests.supervise.test_tap -*-
"""
Any C{twistd} plugin as a unit: its service runs inside the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches

from attrs import define, field, frozen
from twisted.application.service import IService, IServiceMaker
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    maybeDeferred,
    succeed,
)
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.plugin import IPlugin, getPlugins
from twisted.python.failure import Failure
from twisted.python.usage import UsageError
from zope.interface import implementer

from sockhost.config import positive
from sockhost.interfaces import (
    IUnit,
    IUnitHost,
    IUnitKind,
    SockhostError,
    UnitLost,
    UnitStuck,
)
from sockhost.supervise.execution import Once

#: Seconds that a service still gets to stop when its grace is cut short.
_HURRY = 0.5

OURS = "sockhost"
"""The name of our own plugin."""


@frozen(kw_only=True)
class TapConfig:
    """
    The service of any plugin of C{twistd}, inside the host.

    @ivar tap: the name of the plugin, as in C{twistd NAME}.
    @ivar args: its command line, a word each.
    @ivar grace: seconds that its service may take to stop.
    """

    tap: str
    args: tuple[str, ...] = ()
    grace: float = field(default=10.0, validator=positive)


def _installed() -> Iterable[IServiceMaker]:
    return getPlugins(IServiceMaker)


@implementer(IPlugin, IUnitKind)
@define
class TapKind:
    """
    Makes units of C{twistd} plugins.

    @ivar makers: finds the plugins.
    """

    name = "tap"
    config_class = TapConfig
    portable = False

    makers: Callable[[], Iterable[IServiceMaker]] = _installed
    _log = Logger()

    def make(self, name: str, config: TapConfig, host: IUnitHost) -> IUnit:
        """Make the unit; what is wrong with the plugin or its options shows here."""
        maker = self._find(config.tap)

        def build() -> IService:
            return _build(maker, config)

        return TapUnit(name, config, host.reactor, build, build())

    def _find(self, wanted: str) -> IServiceMaker:
        if wanted == OURS:
            raise SockhostError(f"the tap {OURS!r} is this host: there is one already")
        makers = dict(self._named())
        if wanted in makers:
            return makers[wanted]
        near = get_close_matches(wanted, list(makers), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SockhostError(f"no twistd plugin is called {wanted!r}{hint}")

    def _named(self) -> Iterator[tuple[str, IServiceMaker]]:
        for maker in self.makers():
            try:
                yield str(maker.tapname), maker
            except Exception:
                # It may be anybody's, and is not what is looked for.
                self._log.failure("a twistd plugin does not say its name")


def _build(maker: IServiceMaker, config: TapConfig) -> IService:
    options = maker.options()
    try:
        options.parseOptions(list(config.args))
        made: object = maker.makeService(options)
    except UsageError as error:
        raise SockhostError(f"options of tap {config.tap!r}: {error}") from error
    except SystemExit as error:
        # --help and --version do this, and so do careless plugins.
        raise SockhostError(
            f"tap {config.tap!r} ends the program instead of making a service"
        ) from error
    service: IService | None = IService(made, None)
    if service is None:
        raise SockhostError(
            f"tap {config.tap!r} made something that is no service: {made!r}"
        )
    return service


@implementer(IUnit)
class TapUnit:
    """
    One service.  Each start is that of a service made anew, as few services
    bear a second one.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        config: TapConfig,
        clock: IReactorTime,
        build: Callable[[], IService],
        first: IService,
    ) -> None:
        self._name = name
        self._config = config
        self._clock = clock
        self._build = build
        self._next: IService | None = first
        self._service: IService | None = None
        self._starting: Deferred[None] | None = None
        self._giving_up: IDelayedCall | None = None
        # Fires when the service says that it has stopped, or has failed to.
        self._halt: Once[Failure | None] | None = None
        # Who waits for the end of the service that is being stopped.
        self._ending: list[Deferred[None]] = []

    def start(self, lost: Callable[[Failure], None]) -> Deferred[None]:
        self._starting = Deferred.fromCoroutine(self._start())
        return self._starting

    def stop(self) -> Deferred[UnitLost | None]:
        return Deferred.fromCoroutine(self._stop())

    def abort(self) -> None:
        # Not at once: an orderly end takes a few turns of the reactor too.
        if self._giving_up is not None:
            late = self._clock.seconds() + _HURRY
            if late < self._giving_up.getTime():
                self._giving_up.reset(_HURRY)

    async def _start(self) -> None:
        service, self._next = self._next or self._build(), None
        self._service = service
        try:
            await maybeDeferred(service.privilegedStartService)
            await maybeDeferred(service.startService)
        except CancelledError:
            # By a stop, which goes on from here.
            raise
        except Exception:
            await self._end_failed(Failure())
        finally:
            self._starting = None

    async def _end_failed(self, failure: Failure) -> None:
        try:
            await self._end()
        except Exception as error:
            # Some of a collection may run.
            self._log.failure("{unit} did not start", failure, unit=self._name)
            said = f"{failure.getErrorMessage()}; {error}"
            raise UnitStuck(said) from failure.value
        failure.raiseException()

    async def _stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        await self._end()

    def _end(self) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        self._ending.append(waiter)
        if len(self._ending) == 1:
            Deferred.fromCoroutine(self._stop_service()).addBoth(self._ended)
        return waiter

    async def _stop_service(self) -> None:
        service = self._service
        if service is None:
            return
        began = self._clock.seconds()
        halted = (self._halt or self._begin_to_halt(service)).wait()
        # The service itself is not cancelled: it may still stop, later.
        self._giving_up = self._clock.callLater(self._config.grace, halted.cancel)
        try:
            failure = await halted
        except CancelledError:
            raise self._not_stopped(began) from None
        finally:
            late, self._giving_up = self._giving_up, None
            if late.active():
                late.cancel()
        if failure is not None:
            failure.raiseException()

    def _begin_to_halt(self, service: IService) -> Once[Failure | None]:
        halt = self._halt = Once()
        maybeDeferred(service.stopService).addBoth(self._halted, halt)
        return halt

    def _halted(self, result: object, halt: Once[Failure | None]) -> None:
        failure = result if isinstance(result, Failure) else None
        self._halt = None
        if failure is None:
            self._service = None
        elif self._giving_up is None and not self._ending:
            self._log.failure("{unit} did not stop", failure, unit=self._name)
        halt.fire(failure)

    def _not_stopped(self, began: float) -> UnitStuck:
        waited = max(round(self._clock.seconds() - began, 1), 0.0)
        return UnitStuck(f"the service of {self._name} did not stop in {waited:g} s")

    def _ended(self, result: Failure | None) -> None:
        waiting, self._ending = self._ending, []
        for waiter in waiting:
            waiter.callback(result)

    def reload(self, config: TapConfig) -> Deferred[bool]:
        return succeed(config == self._config)

    def status(self) -> Mapping[str, object]:
        return {
            "tap": self._config.tap,
            "args": list(self._config.args),
            "running": self._service is not None,
        }
