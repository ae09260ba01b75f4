"""
Functional tests of L{sockhost.workers}: real prototypes, workers and sockets.
"""

from __future__ import annotations

import contextlib
import os
import resource
import stat
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import SkipTest

from sockhost.interfaces import Disconnected
from sockhost.sockets.blocking import BlockingClient
from sockhost.workers.pool import WorkerSocketUnit
from tests.functional.worker_case import (
    WorkerCase,
    descriptors,
    handler,
    reactor,
    title,
)


class ServingTests(WorkerCase):
    """
    Workers that run well.
    """

    async def test_every_worker_serves(self) -> None:
        """Each of the workers answers clients, and the host none of them."""
        await self.up(3)
        expected = {str(pid).encode() for pid in self.workers().values()}
        self.assertEqual(len(expected), 3)
        seen: set[bytes] = set()
        for _attempt in range(2000):
            seen.add(await self.ask())
            if seen == expected:
                break
        self.assertEqual(seen, expected)

    async def test_lost_while_others_start(self) -> None:
        """A worker that is lost and forked anew while another one still starts
        serves nobody before its own handler has started, and then goes on."""
        nth = f"os.mkfifo({self.path('born')!r} + str(n))"
        self.write(
            handler(
                top="from twisted.internet import reactor\n"
                "from twisted.internet.task import deferLater\n"
                "def leave():\n"
                "    reactor.callLater(0.2, os._exit, 7)\n"
                "def born():\n"
                "    n = 0\n"
                "    while True:\n"
                "        try:\n"
                f"            {nth}\n"
                "            return n\n"
                "        except FileExistsError:\n"
                "            n += 1",
                startup="self.over, n = False, born()\n"
                "        d = deferLater(reactor, [0.1, 1.5, 2.0][n])\n"
                "        d.addCallback(lambda _: setattr(self, 'over', True))\n"
                "        if n == 0:\n"
                "            d.addCallback(lambda _: leave())\n"
                "        return d",
                received="return b'%d %d' % (self.over, os.getpid())",
            )
        )
        await self.up(2)
        first = dict(self.workers())
        answers = [await self.ask() for _ in range(30)]
        await self.until(lambda: len(self.workers()) == 2)
        second = self.workers()
        answers += [await self.ask() for _ in range(30)]
        self.assertEqual({answer[:1] for answer in answers}, {b"1"})
        self.assertLessEqual(first.items(), second.items())
        status: Any = self.unit.status()
        self.assertEqual(sorted(w["restarts"] for w in status["workers"]), [0, 1])

    async def test_clients(self) -> None:
        """The clients of all workers are listed and can be kicked."""
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 400:
            raise SkipTest("this process may not have so many clients")
        unit = await self.up(2)
        await deferToThread(self._hold_and_kick, unit)

    def _hold_and_kick(self, unit: WorkerSocketUnit) -> None:
        def ask(work: Callable[[], Any]) -> Any:
            return blockingCallFromThread(reactor, work)

        with contextlib.ExitStack() as stack:
            held = [
                stack.enter_context(BlockingClient(self.path("kv.sock"), 10))
                for _ in range(250)
            ]
            pids = [int(client.request(b"?")) for client in held]
            listed = ask(unit.clients)
            self.assertEqual(len(listed), 250)
            self.assertEqual(len({client["id"] for client in listed}), 250)
            place = {pid: index for index, pid in self.workers().items()}
            counted = {
                index: [c["id"].split(".")[0] for c in listed].count(str(index))
                for index in place.values()
            }
            for pid, index in place.items():
                self.assertEqual(counted[index], pids.count(pid))
            self.assertEqual({client["pid"] for client in listed}, {os.getpid()})
            self.assertFalse(ask(lambda: unit.kick("9.1")))
            self.assertFalse(ask(lambda: unit.kick("1.999999")))
            for client in listed:
                self.assertTrue(ask(partial(unit.kick, client["id"])))
            for each in held:
                self.assertRaises(Disconnected, each.receive)
            self.assertEqual(ask(unit.clients), [])

    async def test_mode(self) -> None:
        """The socket has the mode of the configuration."""
        await self.up(1, mode="0640")
        mode = os.stat(self.path("kv.sock")).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o640)

    async def test_titles(self) -> None:
        """Each process says in its title what it is."""
        await self.up(2)
        self.assertEqual(title(self.prototype()), "sockhost: kv prototype")
        titles = {index: title(pid) for index, pid in self.workers().items()}
        self.assertEqual(
            titles, {1: "sockhost: kv worker 1", 2: "sockhost: kv worker 2"}
        )

    async def test_descriptors(self) -> None:
        """A worker has its standard ones, port, listener and reactor; no more."""
        await self.up(2)
        for pid in self.workers().values():
            self.assertEqual(
                descriptors(pid),
                [
                    "/dev/null",  # stdin
                    *["anon_inode"] * 2,  # epoll: the reactor's, the hub's
                    *["pipe"] * 2,  # stdout, stderr
                    *["pipe"] * 4,  # what wakes the reactor: for threads, for SIGCHLD
                    *["socket"] * 2,  # port, listener
                ],
            )

    async def test_hooks_and_log(self) -> None:
        """Hooks run once in each worker, and what they print is in the log."""
        unit = await self.up(2)
        pids = set(self.workers().values())
        await unit.stop()
        text = self.log()
        for pid in pids:
            self.assertEqual(text.count(f"startup of {pid}"), 1)
            self.assertEqual(text.count(f"shutdown of {pid}"), 1)

    async def test_reactor_imported_by_the_plugin(self) -> None:
        """A module that imports the reactor at its top serves in each worker."""
        self.write(
            handler(
                top="from twisted.internet import reactor",
                received=(
                    "from twisted.internet.task import deferLater\n"
                    "        return deferLater(reactor, 0.01, lambda: b'later')"
                ),
            )
        )
        await self.up(3)
        for _attempt in range(12):
            self.assertEqual(await self.ask(), b"later")
        await self.until(lambda: sum(w["frames_in"] for w in self._described()) == 12)

    def _described(self) -> list[dict[str, Any]]:
        status: Any = self.unit.status()
        workers: list[dict[str, Any]] = status["workers"]
        return workers

    async def test_child_processes_of_a_worker(self) -> None:
        """A handler can run programs by the reactor that it finds."""
        self.write(
            handler(
                top=(
                    "from twisted.internet import reactor\n"
                    "from twisted.internet.utils import getProcessOutput"
                ),
                received="return getProcessOutput('/bin/echo', [b'hello'])",
            )
        )
        await self.up(2)
        self.assertEqual(await self.ask(), b"hello\n")

    async def test_events_reach_the_host(self) -> None:
        """What a handler publishes arrives at the host."""
        self.write(
            handler(
                top="from sockhost.status import Event",
                received=(
                    "self.host.publish(Event(at=1.0, event='seen', unit='kv',"
                    " fields={'n': 5}))\n"
                    "        return b''"
                ),
            )
        )
        unit = await self.up(1)
        await self.ask()
        host: Any = unit._host
        await self.until(lambda: bool(host.events))
        self.assertEqual(host.events[0].fields, {"n": 5})

    async def test_drain(self) -> None:
        """A request that is under way when the unit stops is answered."""
        self.write(
            handler(
                top=(
                    "from twisted.internet import reactor\n"
                    "from twisted.internet.task import deferLater"
                ),
                received=(
                    "open(os.path.join(self.host.run_dir, 'asked'), 'w').close()\n"
                    "        return deferLater(reactor, 0.3, lambda: b'late')"
                ),
            )
        )
        unit = await self.up(1, drain=5.0)
        answer = Deferred.fromCoroutine(self.ask())
        await self.until(lambda: os.path.exists(self.path("asked")))
        await unit.stop()
        self.assertEqual(await answer, b"late")

    async def test_run_hook(self) -> None:
        """A hook of the handler is run in every worker."""
        self.write(
            handler()
            + "    async def reconfigure(self):\n"
            + "        print('reconfigured', os.getpid())\n"
        )
        unit = await self.up(2)
        await unit.run_hook("reconfigure")
        await self.until(
            lambda: all(
                f"reconfigured {pid}" in self.log() for pid in self.workers().values()
            )
        )
