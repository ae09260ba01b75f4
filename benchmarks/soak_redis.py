"""
Soaks the Redis client: C{python -m benchmarks.soak_redis}, for ten minutes,
through a line that holds data up and breaks, to a server that is killed, with
commands that are cancelled and that run out of time at random.

It must hold that no reply goes to the wrong caller, that no write that was
acknowledged is lost, that nothing is executed twice, that no Deferred is left,
and that memory stays flat.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from benchmarks import procfs
from benchmarks.harness import Progress, Result, arguments, report
from benchmarks.redis_proxy import RedisProxy
from benchmarks.redis_server import Server
from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisReplyError
from sockhost.redis import RedisClient, connect

GROWTH_LIMIT = 16 * 1024 * 1024
"""Bytes that memory may vary by; what leaks grows by more in ten minutes."""

KEYS = 50
WORKERS = 8
SETTLE = 15.0
"""Seconds in which everything must have come to an end."""


@frozen
class Plan:
    """
    What to do.

    @ivar seconds: how long.
    @ivar cut_every: seconds between two breaks of the line, about.
    @ivar kill_every: seconds between two kills of the server, about.
    @ivar seed: of all that is random.
    """

    seconds: float = 600.0
    cut_every: float = 1.0
    kill_every: float = 8.0
    seed: int = 1


@define
class Outcome:
    """
    What came of it.

    @ivar counts: how often each thing has happened.
    @ivar memory: bytes that the process had, from time to time.
    @ivar problems: what must not be.
    """

    counts: Counter[str] = field(factory=Counter)
    memory: list[int] = field(factory=list)
    problems: list[str] = field(factory=list)

    def judge(self) -> None:
        """Find what the counts say."""
        left = self.counts["issued"] - self.counts["settled"]
        if left:
            self.problems.append(f"{left} commands have no outcome")
        # What grows at first is what a process fills once.
        settled = self.memory[len(self.memory) // 3 :]
        if settled and max(settled) - settled[0] > GROWTH_LIMIT:
            grown = (max(settled) - settled[0]) >> 20
            self.problems.append(f"memory grew by {grown} MiB")


@define
class Soak:
    """One run."""

    reactor: Any
    plan: Plan
    client: RedisClient
    proxy: RedisProxy
    server: Server
    outcome: Outcome = field(factory=Outcome)
    chance: random.Random = field(factory=random.Random)
    ends: float = 0.0
    _serial: int = 0
    _given: set[bytes] = field(factory=set)

    def running(self) -> bool:
        """C{True} until the time is over."""
        return bool(self.reactor.seconds() < self.ends)

    async def run(self) -> None:
        """Do everything, and check what is left."""
        self.chance.seed(self.plan.seed)
        self.ends = self.reactor.seconds() + self.plan.seconds
        self.proxy.delay = self._delay
        tasks = [self._echo(), self._cut(), self._kill(), self._watch()]
        tasks += [self._pop(), self._push(), self._batch()]
        tasks += [self._write(number) for number in range(WORKERS)]
        tasks += [self._count(number) for number in range(WORKERS)]
        for task in [Deferred.fromCoroutine(each) for each in tasks]:
            await task
        self.outcome.counts["cuts"] = self.proxy.cuts

    # -- the misfortunes ----------------------------------------------------

    def _delay(self) -> float:
        return self.chance.random() ** 4 * 0.05 if self.chance.random() < 0.2 else 0.0

    async def _cut(self) -> None:
        while self.running():
            await self._pause(self.plan.cut_every)
            self.proxy.cut_all()

    async def _kill(self) -> None:
        while self.running():
            await self._pause(self.plan.kill_every)
            if self.running():
                self.outcome.counts["kills"] += 1
                self.server.stop()
                await deferLater(self.reactor, self.chance.random() * 0.3)
                self.server.start()

    async def _pause(self, mean: float) -> None:
        seconds = min(mean * (0.5 + self.chance.random()), self.ends - self.now())
        await deferLater(self.reactor, max(seconds, 0.0))

    def now(self) -> float:
        """The time."""
        return float(self.reactor.seconds())

    async def _watch(self) -> None:
        while self.running():
            self.outcome.memory.append(procfs.memory(os.getpid()))
            await self._pause(min(self.plan.seconds / 20, 5.0))

    # -- the work -----------------------------------------------------------

    def issue(self, *args: Any, **options: Any) -> Deferred[Any]:
        """Issue a command, and count it and its outcome."""
        if self.chance.random() < 0.1:
            options.setdefault("timeout", 0.02 + self.chance.random() * 0.2)
        self.outcome.counts["issued"] += 1
        sent = self.client.execute(*args, **options)
        sent.addBoth(self._settled)
        if self.chance.random() < 0.05:
            self.reactor.callLater(self.chance.random() * 0.02, sent.cancel)
        return sent

    def _settled(self, result: Any) -> Any:
        self.outcome.counts["settled"] += 1
        return result

    async def outcome_of(self, sent: Deferred[Any]) -> tuple[str, Any]:
        """
        Wait for a command.

        @return: C{"done"} and its reply, C{"not"} if it certainly was not
            executed, or C{"maybe"}.
        """
        try:
            reply = await sent
        except (MaybeExecuted, CancelledError):
            # One that was cancelled before it was sent was not executed, but
            # its caller cannot tell.
            self.outcome.counts["maybe"] += 1
            return "maybe", None
        except RedisConnectionError:
            self.outcome.counts["not sent"] += 1
            await deferLater(self.reactor, 0.01)
            return "not", None
        except RedisReplyError as error:
            if error.code != "LOADING":
                self.outcome.problems.append(f"the server says {error}")
            return "not", None
        self.outcome.counts["done"] += 1
        return "done", reply

    def _token(self) -> bytes:
        self._serial += 1
        return b"%d" % self._serial

    async def _echo(self) -> None:
        """Many at once: each reply must be the one to its own command."""
        while self.running():
            tokens = [self._token() for _ in range(self.chance.randrange(1, 60))]
            sent = [(token, self.issue("ECHO", token)) for token in tokens]
            for token, each in sent:
                state, reply = await self.outcome_of(each)
                if state == "done" and reply != token:
                    self.outcome.problems.append(f"{token!r} got {reply!r}")
            await deferLater(self.reactor, self.chance.random() * 0.01)

    async def _batch(self) -> None:
        """The same, in one piece."""
        from sockhost.redis.resp import encode_command

        while self.running():
            tokens = [self._token() for _ in range(20)]
            data = b"".join(encode_command(("ECHO", token)) for token in tokens)
            self.outcome.counts["issued"] += 1
            sent = self.client.send_many(len(tokens), data, timeout=5.0)
            sent.addBoth(self._settled)
            state, replies = await self.outcome_of(sent)
            if state == "done" and replies != tokens:
                self.outcome.problems.append("a batch got replies of others")
            await deferLater(self.reactor, self.chance.random() * 0.02)

    async def _write(self, worker: int) -> None:
        """What was acknowledged is there afterwards."""
        possible: dict[str, set[bytes | None]] = {}
        while self.running():
            key, value = f"w{worker}:{self.chance.randrange(KEYS)}", self._token()
            state, _ = await self.outcome_of(self.issue("SET", key, value))
            if state == "done":
                possible[key] = {value}
            elif state == "maybe":
                possible.setdefault(key, {None}).add(value)
        for key, values in possible.items():
            found = await self._certain("GET", key)
            if found not in values:
                self.outcome.problems.append(f"{key} is {found!r}, not {values!r}")

    async def _count(self, worker: int) -> None:
        """Nothing is executed twice, and nothing acknowledged is lost."""
        key, done, maybe = f"n{worker}", 0, 0
        while self.running():
            state, reply = await self.outcome_of(self.issue("INCR", key))
            maybe += state == "maybe"
            done += state == "done"
            if state == "done" and not done <= reply <= done + maybe:
                self.outcome.problems.append(f"{key} is {reply} of {done}+{maybe}")
            await deferLater(self.reactor, 0)
        found = int(await self._certain("GET", key) or 0)
        if not done <= found <= done + maybe:
            self.outcome.problems.append(f"{key} ends as {found} of {done}+{maybe}")

    async def _push(self) -> None:
        while self.running():
            await self.outcome_of(self.issue("RPUSH", "list", self._token()))
            await deferLater(self.reactor, self.chance.random() * 0.01)

    async def _pop(self) -> None:
        """What blocks is on its own, and gets each item once."""
        while self.running():
            sent = self.issue("BLPOP", "list", 1)
            state, reply = await self.outcome_of(sent)
            if state == "done" and reply is not None:
                if reply[1] in self._given:
                    self.outcome.problems.append(f"{reply[1]!r} was popped twice")
                self._given.add(reply[1])
                if len(self._given) > 10_000:
                    self._given.clear()

    async def _certain(self, *args: Any) -> Any:
        deadline = self.now() + SETTLE
        while self.now() < deadline:
            try:
                return await self.client.execute(*args, timeout=2.0)
            except (RedisConnectionError, RedisReplyError):
                await deferLater(self.reactor, 0.05)
        self.outcome.problems.append(f"no answer to {args}")
        return None


async def soak(reactor: Any, plan: Plan) -> Outcome:
    """Set everything up, do it, and take it down again."""
    directory = Path(tempfile.mkdtemp(prefix="sockhost-soak-"))
    server = Server(directory, options=("--appendonly", "yes", "--appendfsync", "no"))
    server.start()
    line = str(directory / "line.sock")
    proxy = RedisProxy(reactor, line, server.path)
    try:
        client = await connect(f"unix://{line}", reactor, timeout=5.0, wait=2.0)
        run = Soak(reactor, plan, client, proxy, server)
        await run.run()
        await client.close()
        if client.lent or client.queued or client.outstanding:
            run.outcome.problems.append("the closed client holds something")
        run.outcome.judge()
        return run.outcome
    finally:
        await proxy.stop()
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def results(outcome: Outcome, seconds: float) -> list[Result]:
    """The figures of a run."""
    figures = [(name, float(value), "") for name, value in outcome.counts.items()]
    memory = outcome.memory or [0]
    figures += [
        ("memory, first", memory[0] / 2**20, "MiB"),
        ("memory, last", memory[-1] / 2**20, "MiB"),
        ("commands in a second", outcome.counts["settled"] / seconds, "op/s"),
        ("problems", float(len(outcome.problems)), ""),
    ]
    return [
        Result(name, "sockhost", value, unit, "sockhost", 1.0, [value])
        for name, value, unit in figures
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Soak and report."""
    from twisted.internet import reactor
    from twisted.internet.task import react

    options = arguments(__doc__, argv)
    plan = Plan(seconds=20.0) if options.quick else Plan(seed=time.time_ns())
    found: list[Outcome] = []

    async def run(_reactor: Any) -> None:
        progress = Progress(plan.seconds)
        began = time.monotonic()

        def tick() -> None:
            progress.at(time.monotonic() - began, "soaking")

        from twisted.internet.task import LoopingCall

        looping = LoopingCall(tick)
        looping.start(0.5)
        found.append(await soak(reactor, plan))
        looping.stop()
        progress.clear()

    try:
        react(lambda each: Deferred.fromCoroutine(run(each)))
    except SystemExit as ended:
        if not found:
            return int(ended.code or 1)
    outcome = found[0]
    report(results(outcome, plan.seconds), [], options.json)
    for problem in outcome.problems[:20]:
        print(f"problem: {problem}")
    print(f"seed {plan.seed}, {len(outcome.problems)} problems")
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
