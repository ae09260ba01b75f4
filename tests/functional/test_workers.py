"""
Functional tests of L{sockhost.workers}: real prototypes, workers and sockets.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.config import RestartPolicy, UnitConfig
from sockhost.interfaces import Disconnected, PathInUse, UnitLost
from sockhost.processes.child import live_pids
from sockhost.processes.orphans import become_subreaper, reap_all_orphans
from sockhost.sockets.blocking import BlockingClient
from sockhost.workers.pool import WorkerSocketUnit
from sockhost.workers.prototype_process import CannotImport
from tests.workers.hosts import socket_unit

reactor: Any = _reactor

HANDLER = """
import os
{top}

class Handler:
    def __init__(self, host):
        self.host = host
    def startup(self):
        {startup}
    def shutdown(self):
        print("shutdown of", os.getpid())
    def received(self, client, frame):
        {received}
"""


def handler(
    top: str = "",
    startup: str = 'print("startup of", os.getpid())',
    received: str = "return str(os.getpid()).encode()",
) -> str:
    """Make the source of a module with a handler."""
    return HANDLER.format(top=top, startup=startup, received=received)


def alive(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descriptors(pid: int) -> list[str]:
    """List what the descriptors of a process lead to, without the numbers."""
    directory, links = f"/proc/{pid}/fd", []
    for name in os.listdir(directory):
        # The one that lists this directory is closed by now.
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"{directory}/{name}").split(":")[0])
    return sorted(links)


def title(pid: int) -> str:
    """Get the title of a process."""
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().rstrip("\0")


class WorkerTests(TestCase):
    """
    A unit with real workers.
    """

    timeout = 60

    def setUp(self) -> None:
        """Make a directory, and a module name that was never imported."""
        become_subreaper()
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        # A path in the test directory may be too long for a Unix socket.
        short = f"/tmp/sockhost-test-{os.getpid()}-{self._testMethodName[5:25]}"
        os.symlink(os.path.abspath(self.directory), short)
        self.addCleanup(os.unlink, short)
        self.directory = short
        self.losses: list[Failure] = []
        self.units: list[WorkerSocketUnit] = []
        self.write(handler())

    def tearDown(self) -> Deferred[None]:  # type: ignore[override]
        """Stop what runs, and see that nothing is left."""
        return Deferred.fromCoroutine(self._tear_down())

    async def _tear_down(self) -> None:
        for unit in self.units:
            status: Any = unit.status()
            pids = [status["prototype"]["pid"]]
            pids += [worker["pid"] for worker in status["workers"]]
            await unit.stop()
            self.assertEqual([pid for pid in pids if pid and alive(pid)], [])
        self.assertFalse(os.path.exists(self.path("kv.sock")))
        reap_all_orphans(live_pids)

    def path(self, name: str) -> str:
        """Make a path in the directory of this test."""
        return os.path.join(self.directory, name)

    def write(self, source: str) -> None:
        """Write the module of the handler."""
        with open(self.path("plugged.py"), "w") as file:
            file.write(source)

    def log(self) -> str:
        """Read what the workers have written."""
        with open(self.path("kv.log")) as file:
            return file.read()

    def make(
        self, workers: int = 2, start_timeout: float = 60.0, **keys: Any
    ) -> WorkerSocketUnit:
        """Make a unit, to be stopped at the end."""
        host, config = socket_unit(
            reactor,
            self.directory,
            handler="plugged:Handler",
            workers=workers,
            **keys,
        )
        host.units["kv"] = UnitConfig(
            name="kv",
            kind="socket",
            own=config,
            table={},
            policy=RestartPolicy(start_timeout=start_timeout),
        )
        self.unit = WorkerSocketUnit("kv", config, host)
        self.units.append(self.unit)
        return self.unit

    async def up(self, workers: int = 2, **keys: Any) -> WorkerSocketUnit:
        """Make a unit and start it."""
        unit = self.make(workers, **keys)
        await unit.start(self.losses.append)
        return unit

    def workers(self) -> dict[int, int]:
        """Get the process ids of the workers that are up, by their places."""
        status: Any = self.unit.status()
        return {
            worker["index"]: worker["pid"]
            for worker in status["workers"]
            if worker["state"] == "up"
        }

    def prototype(self) -> Any:
        """Get the process id of the prototype, or C{None}."""
        status: Any = self.unit.status()
        return status["prototype"]["pid"]

    async def ask(self, question: bytes = b"?") -> bytes:
        """Connect, ask, and get the answer."""
        return await deferToThread(self._ask, question)

    def _ask(self, question: bytes) -> bytes:
        with BlockingClient(self.path("kv.sock"), timeout=10) as client:
            return client.request(question)

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Wait for something to come true."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.fail(f"not so after {seconds} s; {self.unit.status()}")
            await deferLater(reactor, 0.01)


class ServingTests(WorkerTests):
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
                "def born():\n"
                "    n = 0\n"
                "    while True:\n"
                "        try:\n"
                f"            {nth}\n"
                "            return n\n"
                "        except FileExistsError:\n"
                "            n += 1",
                startup="self.over, n = False, born()\n"
                "        if n == 0:\n"
                "            reactor.callLater(0.3, os._exit, 7)\n"
                "        d = deferLater(reactor, [0.1, 1.0, 1.5][n])\n"
                "        return d.addCallback(lambda _: setattr(self, 'over', True))",
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


class LossTests(WorkerTests):
    """
    Processes that are killed.
    """

    async def test_worker_killed(self) -> None:
        """A killed worker is replaced; the others go on."""
        await self.up(2)
        before = self.workers()
        os.kill(before[1], signal.SIGKILL)
        await self.until(lambda: self.workers().get(1) not in (None, before[1]))
        self.assertEqual(self.workers()[2], before[2])
        self.assertEqual(self.losses, [])
        self.assertIn(int(await self.ask()), self.workers().values())

    async def test_worker_terminated(self) -> None:
        """A worker that is told to end runs its shutdown hook, and is replaced."""
        await self.up(1)
        before = self.workers()[1]
        os.kill(before, signal.SIGTERM)
        await self.until(lambda: self.workers().get(1) not in (None, before))
        self.assertIn(f"shutdown of {before}", self.log())

    async def test_signals_for_the_host(self) -> None:
        """Signals that are meant for the host end neither worker nor prototype."""
        await self.up(1)
        before = (self.prototype(), self.workers()[1])
        for pid in before:
            os.kill(pid, signal.SIGHUP)
            os.kill(pid, signal.SIGUSR1)
        await self.ask()
        self.assertEqual((self.prototype(), self.workers()[1]), before)

    async def test_prototype_killed(self) -> None:
        """A killed prototype takes its workers along, and all are replaced while
        the socket stays: a client that comes meanwhile is served."""
        await self.up(2)
        before = {self.prototype(), *self.workers().values()}
        inode = os.stat(self.path("kv.sock")).st_ino
        os.kill(self.prototype(), signal.SIGKILL)
        await self.until(lambda: not any(map(alive, before)))
        await self.ask()
        await self.until(lambda: len(self.workers()) == 2)
        self.assertFalse(before & {self.prototype(), *self.workers().values()})
        self.assertEqual(os.stat(self.path("kv.sock")).st_ino, inode)
        self.assertEqual(self.losses, [])

    async def test_prototype_stuck(self) -> None:
        """A prototype that does not run cannot prevent the unit from stopping."""
        unit = await self.up(1)
        os.kill(self.prototype(), signal.SIGSTOP)
        await unit.stop()
        self.assertEqual(self.workers(), {})

    async def test_grandchildren(self) -> None:
        """What a worker has started ends with the prototype's group."""
        self.write(
            handler(
                top="import subprocess",
                startup=(
                    "self.child = subprocess.Popen(['sleep', '100'],"
                    " stdout=subprocess.DEVNULL)"
                ),
                received="return str(self.child.pid).encode()",
            )
        )
        unit = await self.up(1)
        child = int(await self.ask())
        self.assertTrue(alive(child))
        await unit.stop()
        self.assertFalse(alive(child))

    async def test_no_descriptors_leak(self) -> None:
        """However many workers are replaced, the host has no more descriptors."""
        await self.up(1)
        before = descriptors(os.getpid())
        for _attempt in range(4):
            pid = self.workers()[1]
            os.kill(pid, signal.SIGKILL)
            await self.until(
                lambda old=pid: self.workers().get(1) not in (None, old)  # type: ignore[misc]
            )
        self.assertEqual(descriptors(os.getpid()), before)

    async def test_import_fails_later(self) -> None:
        """When a new prototype cannot import any more, the unit is lost."""
        await self.up(1)
        self.write("import nowhere_at_all")
        os.kill(self.prototype(), signal.SIGKILL)
        await self.until(lambda: bool(self.losses))
        error = self.losses[0].value
        self.assertIsInstance(error, UnitLost)
        self.assertIn("nowhere_at_all", str(error))
        self.assertFalse(os.path.exists(self.path("kv.sock")))

    def test_host_killed(self) -> None:
        """When the host is killed, no worker and no prototype is left."""
        command = [sys.executable, "-m", "tests.workers.lone_host"]
        arguments = [self.directory, "plugged:Handler", "2"]
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE) as host:
            assert host.stdout is not None
            status = json.loads(host.stdout.readline())
            host.kill()
        pids = [status["prototype"]["pid"]]
        pids += [worker["pid"] for worker in status["workers"]]
        self.assertEqual(len(pids), 3)
        end = time.monotonic() + 5
        while any(map(alive, pids)) and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual([pid for pid in pids if alive(pid)], [])
        os.unlink(self.path("kv.sock"))


class StartTests(WorkerTests):
    """
    Starts that fail, and restarts.
    """

    async def fail_to_start(self, unit: WorkerSocketUnit) -> Exception:
        """Start a unit, and get why that fails."""
        failures: list[Failure] = []
        await unit.start(self.losses.append).addErrback(failures.append)
        self.assertEqual((self.prototype(), self.workers()), (None, {}))
        error = failures[0].value
        assert isinstance(error, Exception)
        return error

    async def test_import_error(self) -> None:
        """What is wrong with a module is in the reason and in the log."""
        self.write("import nowhere_at_all")
        error = await self.fail_to_start(self.make())
        self.assertIsInstance(error, CannotImport)
        self.assertIn("No module named 'nowhere_at_all'", str(error))
        self.assertIn("Traceback", self.log())

    async def test_import_exits(self) -> None:
        """A module that ends the process when it is imported is an error."""
        self.write("import sys; sys.exit('no thanks')")
        error = await self.fail_to_start(self.make())
        self.assertIn("no thanks", str(error))

    async def test_thread_at_import(self) -> None:
        """A module that leaves a thread running is refused, and named."""
        self.write(
            handler(
                top=(
                    "import threading, time\n"
                    "threading.Thread(target=time.sleep, args=(60,), daemon=True,"
                    " name='ticker').start()"
                )
            )
        )
        error = await self.fail_to_start(self.make())
        self.assertIn("started by plugged: ticker", str(error))

    async def test_startup_fails(self) -> None:
        """A startup hook that fails in a worker fails the start."""
        self.write(handler(startup="raise ValueError('not today')"))
        error = await self.fail_to_start(self.make())
        self.assertIn("ValueError: not today", str(error))

    async def test_startup_hangs(self) -> None:
        """A startup hook that never ends fails the start in time."""
        self.write(handler(startup="import time; time.sleep(100)"))
        error = await self.fail_to_start(self.make(start_timeout=6.0))
        self.assertIn("was not ready in 3.0 s", str(error))

    async def test_import_hangs(self) -> None:
        """An import that never ends fails the start in time."""
        self.write("import time; time.sleep(100)")
        error = await self.fail_to_start(self.make(start_timeout=2.0))
        self.assertIn("importing the handler took more than 1.0 s", str(error))

    async def test_path_in_use(self) -> None:
        """A path that is no socket is left alone, and nothing runs."""
        with open(self.path("kv.sock"), "w") as file:
            file.write("mine")
        error = await self.fail_to_start(self.make())
        self.assertIsInstance(error, PathInUse)
        with open(self.path("kv.sock")) as file:
            self.assertEqual(file.read(), "mine")
        os.unlink(self.path("kv.sock"))

    async def test_stop_during_start(self) -> None:
        """A unit that is stopped while it imports is gone."""
        self.write("import time; time.sleep(100)")
        unit = self.make()
        starting = unit.start(self.losses.append)
        starting.addErrback(lambda failure: None)
        await self.until(lambda: self.prototype() is not None)
        pid = self.prototype()
        await unit.stop()
        self.assertFalse(alive(pid))

    async def test_restart_brings_new_code(self) -> None:
        """A replaced worker runs the code of the others; a unit that was stopped
        and started runs what is in the file."""
        self.write(handler(received="return b'one'"))
        unit = await self.up(1)
        self.assertEqual(await self.ask(), b"one")
        self.write(handler(received="return b'another'"))
        before = self.workers()[1]
        os.kill(before, signal.SIGKILL)
        await self.until(lambda: self.workers().get(1) not in (None, before))
        self.assertEqual(await self.ask(), b"one")
        await unit.stop()
        await unit.start(self.losses.append)
        self.assertEqual(await self.ask(), b"another")
