"""
Kills children of a host while clients use it, and checks what must hold
whatever is killed:

    - afterwards every unit is up;
    - no zombie is left below the host, and the host holds as many descriptors
      as before;
    - no client got a reply that was meant for another;
    - every write that was acknowledged is there.

The clients and the check of the store speak the protocols by themselves, and
share no code with what they test.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import hiredis
from attrs import define, field, frozen

from benchmarks import procfs
from benchmarks.hosts import RunningHost

#: Seconds after the last kill in which every question is to be answered.
#: Before that a client may have to wait: for a worker to take it, and the
#: worker for the store.
PATIENCE = 15.0

HEADER = struct.Struct("=I")

#: So many looks in a row have to see the same, 0.1 s apart, before it counts;
#: and so many are taken at most.
_SAME, _LOOKS = 20, 300


@frozen(kw_only=True)
class Plan:
    """
    What to do.

    @ivar seconds: how long children are killed, at least.
    @ivar kills: how many are, at least: on a busy machine they are back late.
    @ivar every: seconds between two kills.
    @ivar clients: how many clients ask meanwhile.
    @ivar pause: seconds that a client rests between two rounds.
    @ivar settle: seconds that everything has to be up again in.
    """

    seconds: float
    kills: int = 0
    every: float = 0.2
    clients: int = 8
    pause: float = 0.005
    settle: float = 30.0
    seed: int = 0


@define
class Outcome:
    """
    What happened.

    @ivar errors: answers that said that there was an error.
    @ivar cuts: connections that ended before the answer.
    @ivar settled_after: seconds from the last kill until all was up again and
        every client had its answer.
    @ivar problems: what must not happen and did, a sentence each.
    """

    kills: int = 0
    answered: int = 0
    acknowledged: int = 0
    errors: int = 0
    cuts: int = 0
    settled_after: float = 0.0
    problems: list[str] = field(factory=list)


class Cut(Exception):
    """The connection ended before the answer."""


class Silence(Exception):
    """No answer came in a time that is more than enough."""


@define(eq=False)
class Client:
    """
    Writes keys of its own, each once, and reads them back.

    @ivar acknowledged: the numbers of the writes that were answered C{ok}.
    """

    path: str
    number: int
    pause: float
    stop: threading.Event
    acknowledged: list[int] = field(factory=list)
    answered: int = 0
    errors: int = 0
    cuts: int = 0
    problems: list[str] = field(factory=list)
    _socket: socket.socket | None = None

    def run(self) -> None:
        """Write and read until told to stop."""
        chance = random.Random(self.number)
        number = 0
        while not self.stop.is_set() and not self.problems:
            number += 1
            self._attempt(self._write, number)
            if self.acknowledged and not self.problems:
                self._attempt(self._read, chance.choice(self.acknowledged[-100:]))
            self.stop.wait(self.pause)
        self._close()

    def key(self, number: int) -> str:
        """The key of one write, which no other write has."""
        return f"client{self.number}:{number}"

    def value(self, number: int) -> str:
        """The value of one write, which says whose it is."""
        return f"{self.number}/{number}"

    def _attempt(self, what: Callable[[int], None], number: int) -> None:
        try:
            what(number)
        except Silence:
            self.problems.append(
                f"client {self.number} had no answer {PATIENCE:g} s after the last kill"
            )
            self._close()
        except (Cut, OSError):
            self.cuts += 1
            self._close()
            self.stop.wait(0.02)

    def _write(self, number: int) -> None:
        answer = self._ask(f"set {self.key(number)} {self.value(number)}")
        if answer == "ok":
            self.acknowledged.append(number)
        else:
            self._expect_error(answer)

    def _read(self, number: int) -> None:
        answer = self._ask(f"get {self.key(number)}")
        if answer == "error: no such key":
            self.problems.append(f"{self.key(number)} was acknowledged and is gone")
        elif answer != self.value(number):
            self._expect_error(answer)

    def _expect_error(self, answer: str) -> None:
        if answer.startswith("error: "):
            self.errors += 1
        else:
            self.problems.append(f"client {self.number} was answered {answer!r}")

    def _ask(self, text: str) -> str:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(0.5)
            self._socket.connect(self.path)
        payload = text.encode()
        self._socket.sendall(HEADER.pack(HEADER.size + len(payload)) + payload)
        (length,) = HEADER.unpack(self._receive(HEADER.size))
        answer = self._receive(length - HEADER.size).decode()
        self.answered += 1
        return answer

    def _receive(self, size: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < size:
            part = self._wait(self._socket, size - len(data))
            if not part:
                raise Cut
            data += part
        return data

    def _wait(self, connection: socket.socket, size: int) -> bytes:
        patience: float | None = None
        while True:
            try:
                return connection.recv(size)
            except TimeoutError:
                if self.stop.is_set() and patience is None:
                    patience = time.monotonic() + PATIENCE
                if patience is not None and time.monotonic() > patience:
                    raise Silence from None

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def run(
    host: RunningHost, plan: Plan, progress: Callable[[float, str], object]
) -> Outcome:
    """
    Kill, ask and check.

    @param progress: told of the seconds that have passed, and what was killed.
    """
    outcome = Outcome()
    before = _at_rest(host)
    stop = threading.Event()
    path = str(host.run_dir / "kv.sock")
    clients = [Client(path, n, plan.pause, stop) for n in range(plan.clients)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    try:
        _kill(host, plan, outcome, before.children, progress)
    finally:
        ended = time.monotonic()
        stop.set()
        for thread in threads:
            thread.join()
    _settle(host, ended + plan.settle, outcome, before)
    outcome.settled_after = time.monotonic() - ended
    _gather(clients, outcome)
    try:
        _check_store(host, clients, outcome)
    except (Cut, OSError) as error:
        outcome.problems.append(f"the store cannot be asked: {error}")
    return outcome


def _kill(
    host: RunningHost,
    plan: Plan,
    outcome: Outcome,
    children: int,
    progress: Callable[[float, str], object],
) -> None:
    """
    Kill one of the children that belong there, whichever it is.  Where that
    one is not there just now, nobody is killed in its place: else the last one
    to stand would be killed each time.
    """
    chance = random.Random(plan.seed)
    started = time.monotonic()
    while True:
        passed = time.monotonic() - started
        if passed >= plan.seconds and outcome.kills >= plan.kills:
            return
        victims = [p for p in procfs.descendants(host.pid) if p.state != "Z"]
        place = chance.randrange(children)
        if place < len(victims):
            victim = victims[place]
            with suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
                outcome.kills += 1
            progress(passed, f"{outcome.kills} killed, last {victim.name}")
        if host.process.poll() is not None:
            outcome.problems.append(f"the host ended:\n{host.log()[-2000:]}")
            return
        time.sleep(plan.every)


@frozen
class Rest:
    """
    What a host has when all is up.

    @ivar children: how many processes below it.
    """

    descriptors: int
    children: int


def _look(host: RunningHost) -> Rest:
    children = len(procfs.descendants(host.pid))
    return Rest(procfs.descriptors(host.pid), children)


def _at_rest(
    host: RunningHost,
    look: Callable[[RunningHost], Rest] = _look,
    sleep: Callable[[float], object] = time.sleep,
) -> Rest:
    """
    Look until nothing has changed for a while: a command of the cron unit may
    be under way just now, and counts neither before nor after.
    """
    seen: list[Rest] = []
    for _ in range(_LOOKS):
        seen.append(look(host))
        if len(seen) >= _SAME and len({*seen[-_SAME:]}) == 1:
            break
        sleep(0.1)
    return seen[-1]


def _settle(host: RunningHost, deadline: float, outcome: Outcome, before: Rest) -> None:
    """Wait until all is as it was; what is not in the end is a problem."""
    wrong = ["the host ended"]
    while host.process.poll() is None:
        wrong = _wrong(host, before)
        if not wrong or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    outcome.problems += wrong


def _wrong(host: RunningHost, before: Rest) -> list[str]:
    # Counted first, as the question to the control API takes one itself.
    now = procfs.descriptors(host.pid)
    try:
        wrong = host.not_up()
    except OSError as error:
        return [f"the control API does not answer: {error}"]
    if now != before.descriptors:
        wrong.append(
            f"the host holds {now} descriptors; before it were {before.descriptors}"
        )
    wrong += [
        f"process {process.pid} ({process.name}) is a zombie"
        for process in procfs.descendants(host.pid)
        if process.state == "Z"
    ]
    return wrong


def _gather(clients: Iterable[Client], outcome: Outcome) -> None:
    for client in clients:
        outcome.answered += client.answered
        outcome.acknowledged += len(client.acknowledged)
        outcome.errors += client.errors
        outcome.cuts += client.cuts
        outcome.problems += client.problems


def _check_store(
    host: RunningHost, clients: Iterable[Client], outcome: Outcome
) -> None:
    """Read every acknowledged write from the store itself."""
    with socket.socket(socket.AF_UNIX) as store:
        store.settimeout(PATIENCE)
        store.connect(str(host.run_dir / "valkey.sock"))
        for client in clients:
            for start in range(0, len(client.acknowledged), 1000):
                part = client.acknowledged[start : start + 1000]
                values = _get(store, [client.key(number) for number in part])
                for number, value in zip(part, values, strict=True):
                    if value != client.value(number):
                        outcome.problems.append(
                            f"{client.key(number)} was acknowledged and is {value!r}"
                        )


def _get(store: socket.socket, keys: list[str]) -> list[str | None]:
    words: tuple[Any, ...] = ("MGET", *keys)
    store.sendall(hiredis.pack_command(words))
    reader = hiredis.Reader(encoding="utf-8")
    while (reply := reader.gets()) is False:
        data = store.recv(65536)
        if not data:
            raise Cut
        reader.feed(data)
    if isinstance(reply, Exception):
        raise reply
    values: list[str | None] = reply
    return values
