"""
Soaks the Redis client: C{python -m benchmarks.soak_redis}, for ten minutes in all
(C{--seconds} says how long), of which the first half is through a line that holds
data up and breaks, to a primary that is killed, or that its replica takes the place
of, with commands that are cancelled and that run out of time at random; and the
second half the same with a cluster.  Commands, pipelines, transactions, locks,
published messages and commands that block are all under way together.

It must hold that no reply goes to the wrong caller, that no write that was
acknowledged is lost, that nothing is executed twice, that no Deferred is left,
and that memory stays flat.

A server acknowledges a write before its replicas have it, so what a primary has
acknowledged by itself is lost when it is replaced, whatever the client does.
Therefore only what C{WAIT} has said to be at the replica counts as acknowledged
here: the write and its C{WAIT} are sent in one piece.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import LoopingCall, deferLater

from benchmarks import procfs
from benchmarks.harness import Progress, Result, arguments, report
from benchmarks.redis_cluster import Cluster
from benchmarks.redis_topologies import Pair, Topology
from benchmarks.soak_redis_more import REFUSALS, More
from sockhost.interfaces import MaybeExecuted, RedisConnectionError, RedisReplyError
from sockhost.redis.resp import encode_command

GROWTH_LIMIT = 16 * 1024 * 1024
"""Bytes that memory may vary by; what leaks grows by more in ten minutes."""

KEYS = 50
WORKERS = 8
SETTLE = 15.0
"""Seconds in which everything must have come to an end."""

WAIT = encode_command(("WAIT", 1, 200))


@frozen
class Plan:
    """
    What to do.

    @ivar seconds: how long.
    @ivar cut_every: seconds between two breaks of the line, about.
    @ivar kill_every: seconds between two kills of the server, about.
    @ivar fail_over_every: seconds between two failovers, about.
    @ivar seed: of all that is random.
    @ivar cluster: whether it is done to a cluster.
    """

    seconds: float = 300.0
    cut_every: float = 1.0
    kill_every: float = 8.0
    fail_over_every: float = 8.0
    seed: int = 1
    cluster: bool = False


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
    client: Any
    servers: Topology
    outcome: Outcome = field(factory=Outcome)
    chance: random.Random = field(factory=random.Random)
    ends: float = 0.0
    _serial: int = 0
    # What was popped since the last trouble, which may undo a pop.
    _given: set[bytes] = field(factory=set)
    _epoch: int = 0

    def running(self) -> bool:
        """C{True} until the time is over."""
        return bool(self.reactor.seconds() < self.ends)

    async def run(self) -> None:
        """Do everything, and check what is left."""
        self.ends = self.reactor.seconds() + self.plan.seconds
        tasks = [self._echo(), self._cut(), self._watch()]
        tasks += [self._now_and_then(self.plan.kill_every, self.servers.kill)]
        tasks += [self._now_and_then(self.plan.fail_over_every, self.servers.fail_over)]
        tasks += [self._pop(), self._push(), self._batch()]
        tasks += [self._write(number) for number in range(WORKERS)]
        tasks += [self._count(number) for number in range(WORKERS)]
        tasks += More(self).tasks()
        for task in [Deferred.fromCoroutine(each) for each in tasks]:
            await task
        self.outcome.counts.update(self.servers.counts)

    # -- the misfortunes ----------------------------------------------------

    async def _cut(self) -> None:
        while self.running():
            await self._pause(self.plan.cut_every)
            self.servers.cut()

    async def _now_and_then(
        self, mean: float, happen: Callable[[], Awaitable[None]]
    ) -> None:
        while self.running():
            await self._pause(mean)
            if self.running():
                await happen()

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
        return self.counted(self.client.execute(*args, **options))

    def issue_durably(self, key: str, *args: Any) -> Deferred[Any]:
        """The same for a write to a key, with a C{WAIT} behind it."""
        try:
            holder = self.servers.holder(self.client, key)
        except RedisConnectionError:
            return self.counted(fail())
        data = encode_command(args) + WAIT
        timeout = 0.1 + self.chance.random() if self.chance.random() < 0.1 else None
        return self.counted(holder.send_many(2, data, timeout).addCallback(_replies))

    def counted(self, sent: Deferred[Any]) -> Deferred[Any]:
        """Count something that was issued, and its outcome; it may be cancelled."""
        self.outcome.counts["issued"] += 1
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
            if error.code not in REFUSALS:
                self.outcome.problems.append(f"the server says {error}")
            return "not", None
        self.outcome.counts["done"] += 1
        return "done", reply

    def token(self) -> bytes:
        """Make a value that no other has."""
        self._serial += 1
        return b"%d" % self._serial

    async def _echo(self) -> None:
        """Many at once: each reply must be the one to its own command."""
        while self.running():
            tokens = [self.token() for _ in range(self.chance.randrange(1, 60))]
            sent = [(token, self.issue("ECHO", token)) for token in tokens]
            for token, each in sent:
                state, reply = await self.outcome_of(each)
                if state == "done" and reply != token:
                    self.outcome.problems.append(f"{token!r} got {reply!r}")
            await deferLater(self.reactor, self.chance.random() * 0.01)

    async def _batch(self) -> None:
        """The same, in one piece."""
        while self.running():
            tokens = [self.token() for _ in range(20)]
            pipeline = self.client.pipeline()
            for token in tokens:
                pipeline.echo(token)
            _, replies = await self.outcome_of(self.counted(pipeline.run(5.0)))
            for token, reply in zip(tokens, replies or tokens, strict=True):
                if reply != token and not isinstance(reply, Exception):
                    self.outcome.problems.append(f"in a batch {token!r} got {reply!r}")
            await deferLater(self.reactor, self.chance.random() * 0.02)

    async def _write(self, worker: int) -> None:
        """What was acknowledged is there afterwards."""
        possible: dict[str, set[bytes | None]] = {}
        while self.running():
            key, value = f"w{worker}:{self.chance.randrange(KEYS)}", self.token()
            sent = self.issue_durably(key, "SET", key, value)
            state, reply = await self.outcome_of(sent)
            if state == "done" and reply[1] > 0:
                self.outcome.counts["acknowledged by WAIT"] += 1
                possible[key] = {value}
            elif state != "not":
                possible.setdefault(key, {None}).add(value)
        for key, values in possible.items():
            found = await self.certain("GET", key)
            if found not in values:
                self.outcome.problems.append(f"{key} is {found!r}, not {values!r}")

    async def _count(self, worker: int) -> None:
        """Nothing is executed twice, and nothing acknowledged is lost."""
        key, most, least = f"n{worker}", 0, 0
        while self.running():
            state, reply = await self.outcome_of(self.issue_durably(key, "INCR", key))
            most += state != "not"
            if state == "done" and not least < reply[0] <= most:
                self.outcome.problems.append(f"{key} is {reply[0]}, not {least}-{most}")
            if state == "done" and reply[1] > 0:
                self.outcome.counts["acknowledged by WAIT"] += 1
                least = reply[0]
            await deferLater(self.reactor, 0)
        found = int(await self.certain("GET", key) or 0)
        if not least <= found <= most:
            self.outcome.problems.append(f"{key} ends as {found}, not {least}-{most}")

    async def _push(self) -> None:
        while self.running():
            await self.outcome_of(self.issue("RPUSH", "list", self.token()))
            await deferLater(self.reactor, self.chance.random() * 0.01)

    async def _pop(self) -> None:
        """What blocks is on its own, and gets each item once."""
        while self.running():
            sent = self.issue("BLPOP", "list", 1)
            state, reply = await self.outcome_of(sent)
            if state == "done" and reply is not None:
                self._begin_anew()
                if reply[1] in self._given:
                    self.outcome.problems.append(f"{reply[1]!r} was popped twice")
                self._given.add(reply[1])
                if len(self._given) > 10_000:
                    self._given.clear()

    def _begin_anew(self) -> None:
        epoch = self.servers.epoch
        if epoch != self._epoch or epoch % 2:
            self._epoch = epoch
            self._given.clear()

    async def certain(self, *args: Any) -> Any:
        """Have an answer in the end."""
        deadline = self.now() + SETTLE
        while self.now() < deadline:
            try:
                return await self.client.execute(*args, timeout=2.0)
            except (RedisConnectionError, RedisReplyError):
                await deferLater(self.reactor, 0.05)
        self.outcome.problems.append(f"no answer to {args}")
        return None


def _replies(replies: list[Any]) -> list[Any]:
    wrong = [each for each in replies if isinstance(each, RedisReplyError)]
    if wrong:
        raise wrong[0]
    return replies


async def soak(reactor: Any, plan: Plan) -> Outcome:
    """Set everything up, do it, and take it down again."""
    directory = Path(tempfile.mkdtemp(prefix="sockhost-soak-"))
    chance = random.Random(plan.seed)
    kind = Cluster if plan.cluster else Pair
    servers: Topology = kind(reactor, directory, chance)
    try:
        await servers.start()
        client = await servers.connect(timeout=5.0, wait=2.0)
        run = Soak(reactor, plan, client, servers, chance=chance)
        await run.run()
        await client.close()
        if client.connected or servers.holds_something(client):
            run.outcome.problems.append("the closed client holds something")
        run.outcome.judge()
        return run.outcome
    finally:
        await servers.stop()
        shutil.rmtree(directory, ignore_errors=True)


def results(outcome: Outcome, plan: Plan) -> list[Result]:
    """The figures of a run."""
    figures = [(name, float(value), "") for name, value in outcome.counts.items()]
    memory = outcome.memory or [0]
    figures += [
        ("memory, first", memory[0] / 2**20, "MiB"),
        ("memory, last", memory[-1] / 2**20, "MiB"),
        ("commands in a second", outcome.counts["settled"] / plan.seconds, "op/s"),
        ("problems", float(len(outcome.problems)), ""),
    ]
    where = "cluster" if plan.cluster else "pair"
    return [
        Result(f"{where}: {name}", "sockhost", value, unit, "sockhost", 1.0, [value])
        for name, value, unit in figures
    ]


async def _show(reactor: Any, plan: Plan, found: list[tuple[Plan, Outcome]]) -> None:
    progress = Progress(plan.seconds)
    began = time.monotonic()
    what = "a cluster" if plan.cluster else "a primary and its replica"
    looping = LoopingCall(lambda: progress.at(time.monotonic() - began, what))
    looping.start(0.5)
    found.append((plan, await soak(reactor, plan)))
    looping.stop()
    progress.clear()


def main(argv: Sequence[str] | None = None) -> int:
    """Soak and report."""
    from twisted.internet.task import react

    options = arguments(__doc__, argv, seconds=600.0)
    # Half of the time for each kind of servers.
    plan = Plan(seconds=options.seconds / 2, seed=time.time_ns())
    found: list[tuple[Plan, Outcome]] = []

    async def run(reactor: Any) -> None:
        for each in (plan, evolve(plan, cluster=True)):
            await _show(reactor, each, found)

    try:
        react(lambda each: Deferred.fromCoroutine(run(each)))
    except SystemExit as ended:
        if len(found) < 2:
            return int(ended.code or 1)
    report([each for it in found for each in results(it[1], it[0])], [], options.json)
    problems = [problem for _, outcome in found for problem in outcome.problems]
    for problem in problems[:20]:
        print(f"problem: {problem}")
    print(f"seed {plan.seed}, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
