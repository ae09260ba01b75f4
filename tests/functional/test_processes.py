# -*- test-case-name: tests.functional.test_processes -*-
"""Real processes: spawning, ending, leftovers and orphans."""

from __future__ import annotations

import errno
import os
import pwd
import resource
import signal
import sys
import time
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase

from sockhost.interfaces import SpawnError
from sockhost.processes import Child, ChildSpec, Spawner
from sockhost.processes.child import live_pids
from sockhost.processes.procfs import child_pids, group_members
from tests.functional.traces import without_collector

reactor: Any = global_reactor


class Recorder(ProcessProtocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.out: dict[int, bytes] = {1: b"", 2: b""}
        self.reason: Any = None
        self.exited: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def makeConnection(self, process: Any) -> None:
        self.told.append("made")

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        self.out[childFD] += data

    def childConnectionLost(self, childFD: int) -> None:  # noqa: N803
        self.told.append(f"lost {childFD}")

    def processExited(self, reason: Failure) -> None:
        self.told.append("exited")
        self.reason = reason.value
        self.exited.callback(None)

    def processEnded(self, reason: Failure) -> None:
        self.told.append("ended")
        self.ended.callback(None)


async def until(condition: Any, timeout: float = 10.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it never came to be so")
        await deferLater(reactor, 0.01)


def descriptors() -> int:
    """Count the open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


class ProcessCase(TestCase):
    """Spawns, and leaves nothing behind."""

    timeout = 100

    def setUp(self) -> None:
        without_collector(self)
        self.spawner = Spawner(reactor)
        self.addCleanup(lambda: self.assertEqual(live_pids, set()))

    def spawn(self, *argv: str, **options: Any) -> tuple[Child, Recorder]:
        """Spawn a program and see to its end."""
        recorder = Recorder()
        child = self.spawner.spawn(ChildSpec(argv=argv, **options), recorder)
        self.addCleanup(self._end, child, recorder)
        return child, recorder

    def shell(self, script: str, **options: Any) -> tuple[Child, Recorder]:
        """Spawn a shell script."""
        return self.spawn("/bin/sh", "-c", script, **options)

    async def run_shell(self, script: str, **options: Any) -> Recorder:
        """Run a shell script to its end."""
        _, recorder = self.shell(script, **options)
        await recorder.ended
        return recorder

    def _end(self, child: Child, recorder: Recorder) -> Deferred[None] | None:
        child.signal_group(signal.SIGKILL)
        return recorder.ended


class SpawnTests(ProcessCase):
    """Executing programs."""

    async def test_story(self) -> None:
        """A protocol is told everything, in Twisted's order."""
        recorder = await self.run_shell("echo out; echo err >&2", output="separate")
        self.assertEqual(recorder.out, {1: b"out\n", 2: b"err\n"})
        self.assertEqual(recorder.told[0], "made")
        self.assertEqual(recorder.told[-1], "ended")
        self.assertEqual(sorted(recorder.told[1:-1]), ["exited", "lost 1", "lost 2"])
        self.assertIsInstance(recorder.reason, ProcessDone)

    async def test_merged(self) -> None:
        """By default stdout and stderr come as one, in order."""
        recorder = await self.run_shell("echo a; echo b >&2; echo c")
        self.assertEqual(recorder.out[1], b"a\nb\nc\n")

    async def test_exit_code(self) -> None:
        """A code that is not 0 is told."""
        recorder = await self.run_shell("exit 7")
        self.assertEqual((recorder.reason.exitCode, recorder.reason.signal), (7, None))

    async def test_signal(self) -> None:
        """The signal that ended it is told, and it can not be signalled again."""
        child, recorder = self.spawn("sleep", "60")
        child.signalProcess("TERM")
        await recorder.ended
        self.assertIsInstance(recorder.reason, ProcessTerminated)
        self.assertEqual(recorder.reason.signal, signal.SIGTERM)
        self.assertIsNone(child.pid)
        self.assertRaises(ProcessExitedAlready, child.signalProcess, "TERM")
        self.assertFalse(child.signal_group(0))

    async def test_stdin(self) -> None:
        """What is written arrives, and closing is seen."""
        child, recorder = self.spawn("cat", stdin="pipe")
        data = b"x" * 300_000
        child.write(data)
        child.closeStdin()
        await recorder.ended
        self.assertEqual(recorder.out[1], data)

    async def test_surroundings(self) -> None:
        """Environment, directory, mask and session are as they were asked for."""
        directory = os.path.realpath(self.mktemp())
        os.mkdir(directory)
        script = (
            'echo $A; pwd; umask; cut -d" " -f6 /proc/$$/stat; echo $$; ls /proc/$$/fd'
        )
        child, recorder = self.shell(
            script,
            env={"A": "b c", "PATH": os.environ["PATH"]},
            cwd=directory,
            umask=0o77,
        )
        pid = str(child.pid)
        await recorder.ended
        lines = recorder.out[1].decode().splitlines()
        self.assertEqual(lines[:5], ["b c", directory, "0077", pid, pid])
        self.assertEqual(set(lines[5:]) - {"10"}, {"0", "1", "2"})

    async def test_passed_descriptor(self) -> None:
        """A descriptor is passed under its own number."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        recorder = await self.run_shell(
            f"echo hello >/proc/self/fd/{writer}", pass_fds=(writer,)
        )
        os.close(writer)
        self.assertEqual(os.read(reader, 100), b"hello\n")
        self.assertIsInstance(recorder.reason, ProcessDone)

    async def test_signals_are_restored(self) -> None:
        """A child dies of SIGPIPE although the host ignores it."""
        recorder = await self.run_shell("grep SigIgn /proc/$$/status", output="merged")
        ignored = int(recorder.out[1].split()[1], 16)
        self.assertFalse(ignored & (1 << (signal.SIGPIPE - 1)))

    async def test_a_chunk_that_is_left(self) -> None:
        """Output that is larger than a pipe arrives whole."""
        recorder = await self.run_shell("head -c 1000000 /dev/zero")
        self.assertEqual(len(recorder.out[1]), 1_000_000)

    async def test_usage(self) -> None:
        """The resources that a child used are known once it was reaped."""
        child, recorder = self.shell("exit 0")
        await recorder.ended
        assert child.usage is not None
        self.assertGreater(child.usage.ru_maxrss, 0)


class RefusalTests(ProcessCase):
    """What cannot be executed."""

    def refused(self, *argv: str, **options: Any) -> SpawnError:
        """Fail to spawn, and leave no descriptor behind."""
        before = descriptors()
        with self.assertRaises(SpawnError) as caught:
            self.spawner.spawn(ChildSpec(argv=argv, **options), Recorder())
        self.assertEqual(descriptors(), before)
        error: SpawnError = caught.exception
        return error

    def test_no_program(self) -> None:
        """The program that is missing is named."""
        error = self.refused("/no/such/program")
        self.assertEqual((error.errno, error.path), (errno.ENOENT, "/no/such/program"))
        self.assertEqual(
            str(error),
            "cannot execute /no/such/program: No such file or directory (errno 2)",
        )

    def test_not_in_path(self) -> None:
        """A program without a slash is looked up in the child's PATH."""
        error = self.refused("sh", env={"PATH": "/nowhere"})
        self.assertEqual((error.errno, error.path), (errno.ENOENT, "sh"))

    def test_no_directory(self) -> None:
        """The directory that is missing is named, and as a directory."""
        error = self.refused("/bin/true", cwd="/no/dir")
        self.assertEqual((error.errno, error.path), (errno.ENOENT, "/no/dir"))
        self.assertIn("as the directory to run in", str(error))

    def test_not_executable(self) -> None:
        """A file that is no program is refused."""
        error = self.refused("/etc/passwd")
        self.assertEqual(error.errno, errno.EACCES)

    def test_no_interpreter(self) -> None:
        """A script whose interpreter is missing says that."""
        path = os.path.abspath(self.mktemp())
        with open(path, "w") as script:
            script.write("#!/no/such/interpreter\n")
        os.chmod(path, 0o755)
        self.assertIn("interpreter", str(self.refused(path)))

    def test_bad_argument(self) -> None:
        """An argument that cannot be passed is an error like others."""
        self.assertEqual(self.refused("/bin/echo", "a\0b").errno, errno.EINVAL)

    def fill_gaps(self) -> int:
        """Use each free descriptor below the highest; say which that is."""
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        while (number := os.dup(0)) < highest:
            self.addCleanup(os.close, number)
        os.close(number)
        return max(number - 1, highest)

    def spawn_below(self, limit: int, recorder: Recorder) -> SpawnError | None:
        """Spawn with descriptors below a limit; say why it was refused."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            child = self.spawner.spawn(ChildSpec(argv=("/bin/true",)), recorder)
        except SpawnError as error:
            return error
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.addCleanup(self._end, child, recorder)
        return None

    async def test_out_of_descriptors(self) -> None:
        """Wherever descriptors run out, nothing is spawned and none is leaked."""
        highest = self.fill_gaps()
        if highest + 40 > resource.getrlimit(resource.RLIMIT_NOFILE)[1]:
            raise SkipTest("this process may not have so many descriptors")
        before = descriptors()
        recorder, refusals = Recorder(), 0
        while error := self.spawn_below(highest + refusals, recorder):
            self.assertEqual(error.errno, errno.EMFILE)
            self.assertEqual(descriptors(), before)
            refusals += 1
        # There are at least an input, an output and one for errors.
        self.assertGreater(refusals, 3)
        await recorder.ended


class GroupTests(ProcessCase):
    """What a child starts belongs to it."""

    async def test_group(self) -> None:
        """Grandchildren get the signals of the group."""
        child, recorder = self.shell("sleep 60 & sleep 60 & echo up; wait")
        await until(lambda: recorder.out[1])
        self.assertEqual(len(group_members(child.group)), 3)
        self.assertTrue(child.signal_group(signal.SIGTERM))
        await recorder.ended
        await until(lambda: not group_members(child.group))
        self.assertFalse(child.signal_group(0))

    async def test_leader_gone(self) -> None:
        """The group is signalled as long as any of it lives."""
        child, recorder = self.shell("sleep 60 & exit 3")
        await recorder.exited
        self.assertTrue(child.signal_group(0))
        self.assertTrue(child.signal_group(signal.SIGKILL))
        await until(lambda: not child.signal_group(0))

    async def test_held_output(self) -> None:
        """A grandchild that holds the output delays the end only so long."""
        _, recorder = self.shell("sleep 60 & echo up", drain=0.05)
        began = time.monotonic()
        await recorder.ended
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(recorder.out[1], b"up\n")
        self.assertEqual(recorder.told, ["made", "exited", "lost 1", "ended"])


class NumbersTests(ProcessCase):
    """Descriptors that are closed, and whose numbers are used again."""

    async def test_end_of_another(self) -> None:
        """
        A child that is spawned when another ends is not taken for that, though
        the end of the other's output is still to be told of.
        """
        child, first = self.shell("sleep 0.1 & exit 0")
        first.processExited = lambda reason: child.loseConnection()  # type: ignore[method-assign]
        # Both ends are there when the reactor looks, that of the process first.
        time.sleep(0.4)
        await first.ended
        _, second = self.shell("sleep 0.1; echo up")
        await second.ended
        self.assertEqual(second.out[1], b"up\n")


class ManyTests(ProcessCase):
    """Nothing grows."""

    async def test_many(self) -> None:
        """After 200 children there are no more descriptors and no zombies."""
        others = child_pids()
        await self.run_shell("exit 0")
        before = descriptors()
        for _ in range(10):
            runs = [self.shell("echo x", output="separate")[1] for _ in range(20)]
            for recorder in runs:
                await recorder.ended
                self.assertEqual(recorder.out[1], b"x\n")
        self.assertEqual(descriptors(), before)
        self.assertEqual(set(child_pids()) - set(others), set())


class UserTests(ProcessCase):
    """Running as somebody else."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid() != 0:
            raise SkipTest("only root can")

    async def test_user(self) -> None:
        """User, groups and the variables about the user are theirs."""
        nobody = pwd.getpwnam("nobody")
        recorder = await self.run_shell("id -u; id -g; echo $HOME $USER", user="nobody")
        uid, gid, variables = recorder.out[1].decode().splitlines()
        self.assertEqual((int(uid), int(gid)), (nobody.pw_uid, nobody.pw_gid))
        self.assertEqual(variables, f"{nobody.pw_dir} nobody")

    def test_missing_program(self) -> None:
        """A missing program is an error at once, not an exit code of setpriv."""
        spec = ChildSpec(argv=("/no/such",), user="nobody")
        error = self.assertRaises(SpawnError, self.spawner.spawn, spec, Recorder())
        self.assertEqual((error.errno, error.path), (errno.ENOENT, "/no/such"))


class WholeInterpreterTests(ProcessCase):
    """A child that is itself a Python."""

    async def test_python(self) -> None:
        """An interpreter finds its standard streams and nothing else open."""
        script = (
            "import os; print(sorted(int(x) for x in os.listdir('/proc/self/fd'))[:3])"
        )
        _, recorder = self.spawn(sys.executable, "-c", script)
        await recorder.ended
        self.assertEqual(recorder.out[1], b"[0, 1, 2]\n")
