"""
What is at a socket's path before the socket is: what is removed, what is not.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from multiprocessing import get_context
from typing import Any

from twisted.trial.unittest import SkipTest

from sockhost.interfaces import PathInUse, SockhostError
from sockhost.sockets import stale
from sockhost.sockets.bound import bind_unix
from sockhost.sockets.stale import lock_path, path_lock
from tests.functional.test_bound_sockets import InDirectory, can_connect


def _bind_and_report(path: str, start: Any, results: Any) -> None:
    start.wait()
    try:
        bound = bind_unix(path)
    except PathInUse:
        results.put(False)
        return
    results.put(True)
    # Stays until the test has counted.
    start.wait()
    bound.close()


class StaleTests(InDirectory):
    """What is removed to make room, and what never is."""

    def test_stale_replaced(self) -> None:
        """A socket that nobody listens on is replaced."""
        self.leave_stale()
        self.bind()
        self.assertTrue(can_connect(self.path))

    def test_live_untouched(self) -> None:
        """A socket that somebody listens on stays and goes on."""
        self.bind()
        self.assertRaises(PathInUse, self.bind)
        self.assertTrue(can_connect(self.path))

    def test_full_backlog_untouched(self) -> None:
        """A listener that is too busy to accept is alive."""
        self.bind(backlog=1)
        for _ in range(4):
            waiting = socket.socket(socket.AF_UNIX)
            self.addCleanup(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(self.path)
        before = os.stat(self.path).st_ino
        self.assertRaises(PathInUse, self.bind)
        self.assertEqual(os.stat(self.path).st_ino, before)

    def test_datagram_socket_untouched(self) -> None:
        """A socket of another type, which cannot be probed, stays."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(self.path)
            self.assertRaises(PathInUse, self.bind)
        self.assertTrue(stat.S_ISSOCK(os.stat(self.path).st_mode))

    def test_no_socket_untouched(self) -> None:
        """Files, directories, fifos and symbolic links stay, wherever they lead."""
        target = os.path.join(self.directory, "target")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(target)

        def write() -> None:
            with open(self.path, "w") as made:
                made.write("precious")

        for make in (
            write,
            lambda: os.mkdir(self.path),
            lambda: os.mkfifo(self.path),
            lambda: os.symlink(target, self.path),
            lambda: os.symlink("nowhere", self.path),
        ):
            make()
            before = os.lstat(self.path)
            self.assertRaises(PathInUse, self.bind)
            self.assertEqual(os.lstat(self.path).st_ino, before.st_ino)
            self.assertTrue(os.path.exists(target))
            (os.rmdir if stat.S_ISDIR(before.st_mode) else os.unlink)(self.path)

    def test_replaced_while_probed(self) -> None:
        """What took the place of the stale socket while it was probed stays."""
        self.leave_stale()
        probe = stale._refuse_live

        def replace(path: str) -> None:
            probe(path)
            os.unlink(path)
            with open(path, "w") as newcomer:
                newcomer.write("precious")

        self.patch(stale, "_refuse_live", replace)
        self.assertRaises(PathInUse, self.bind)
        with open(self.path) as newcomer:
            self.assertEqual(newcomer.read(), "precious")

    def test_gone_while_probed(self) -> None:
        """It does not matter if the stale socket goes away by itself."""
        self.leave_stale()
        self.patch(stale, "_refuse_live", os.unlink)
        self.bind()
        self.assertTrue(can_connect(self.path))

    def test_race(self) -> None:
        """Of many that want the place of a stale socket, exactly one gets it."""
        self.leave_stale()
        context = get_context("fork")
        start, results = context.Barrier(9), context.SimpleQueue()
        racers = [
            context.Process(target=_bind_and_report, args=(self.path, start, results))
            for _ in range(8)
        ]
        for racer in racers:
            racer.start()
        start.wait(30)
        won = [results.get() for _ in racers]
        self.assertTrue(can_connect(self.path))
        self.assertEqual(won.count(True), 1)
        for racer in racers:
            # Forked from a process with a reactor, it may handle SIGTERM.
            racer.kill()
            racer.join()


class LockTests(InDirectory):
    """The lock beside the socket."""

    def test_refused_while_held(self) -> None:
        """While another process makes the socket, nobody else does."""
        self.leave_stale()
        with path_lock(self.path):
            error = self.assertRaises(PathInUse, self.bind)
        self.assertIn("about to listen", str(error))
        self.assertTrue(os.path.exists(self.path))

    def test_nothing_left(self) -> None:
        """Nothing but the socket is in the directory afterwards."""
        self.bind()
        self.assertEqual(os.listdir(self.directory), ["s"])

    def test_file_with_content_kept(self) -> None:
        """A file of somebody else's that is called like the lock survives."""
        name = lock_path(self.path)
        with open(name, "w") as precious:
            precious.write("precious")
        self.bind()
        with open(name) as precious:
            self.assertEqual(precious.read(), "precious")

    def test_symbolic_link(self) -> None:
        """A symbolic link in the lock's place is not followed."""
        os.symlink("elsewhere", lock_path(self.path))
        self.assertRaises(SockhostError, self.bind)
        self.assertNotIn("elsewhere", os.listdir(self.directory))

    def test_lock_removed_meanwhile(self) -> None:
        """A lock that was removed while we waited for its file is not ours."""
        name = lock_path(self.path)
        real = fcntl.flock
        seen: list[int] = []

        def flock(fd: int, how: int) -> None:
            if not seen:
                os.unlink(name)
            seen.append(fd)
            real(fd, how)

        self.patch(fcntl, "flock", flock)
        with path_lock(self.path):
            self.assertTrue(os.path.exists(name))
        self.assertEqual(len(seen), 2)

    def test_no_directory(self) -> None:
        """Where there is no directory there is no socket, and the text says so."""
        error = self.assertRaises(
            SockhostError, bind_unix, os.path.join(self.directory, "no", "s")
        )
        self.assertIn("No such file", str(error))


class AbstractTests(InDirectory):
    """Sockets that have no file."""

    def setUp(self) -> None:
        """Use a name that nobody else has."""
        super().setUp()
        self.path = "@" + self.directory

    def test_listens(self) -> None:
        """It can be connected to by its name, and no file is made."""
        bound = self.bind()
        self.assertTrue(can_connect("\0" + self.path[1:]))
        self.assertEqual(bound.path, self.path)
        self.assertFalse(bound.unlink())
        self.assertFalse(os.path.exists(self.path))

    def test_taken(self) -> None:
        """A name that is taken is refused."""
        self.bind()
        error = self.assertRaises(PathInUse, self.bind)
        self.assertIn(self.path, str(error))

    def test_gone_with_descriptor(self) -> None:
        """Once it is closed the name is free."""
        self.bind().close()
        self.assertFalse(can_connect("\0" + self.path[1:]))
        self.bind()

    def test_user_of_file_path(self) -> None:
        """A file whose name begins so is reached by a path in front of it."""
        if os.path.exists("./@kept"):
            raise SkipTest("somebody has that file")
        self.path = os.path.join(self.directory, "@kept")
        self.bind()
        self.assertTrue(os.path.exists(self.path))
