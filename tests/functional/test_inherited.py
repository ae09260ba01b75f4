"""
Sockets that a service manager hands over, with real descriptors.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import SockhostError
from sockhost.sockets import inherited, reach
from sockhost.sockets.inherited import InheritedSockets, inherited_sockets
from sockhost.sockets.reach import Reach, open_socket
from tests.functional.test_bound_sockets import can_connect
from tests.functional.test_sockets import ROOT
from tests.functional.traces import without_collector


class AdoptTests(SynchronousTestCase):
    """Tests for L{open_socket} on a descriptor that was inherited."""

    def setUp(self) -> None:
        """Have a socket that is bound, and does not listen."""
        without_collector(self)
        directory = tempfile.mkdtemp(prefix="sk")
        self.addCleanup(shutil.rmtree, directory)
        self.path = os.path.join(directory, "s")
        self.made = self.enterContext(socket.socket(socket.AF_UNIX))
        self.made.bind(self.path)

    def room(self, **keys: Any) -> int:
        """Say how many clients may wait once it is opened."""
        open_socket(Reach(fd=self.made.fileno(), **keys)).close()
        for count in range(50):
            client = self.enterContext(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            if client.connect_ex(self.path):
                return count
        return 50

    def test_bound(self) -> None:
        """One that does not listen yet does, for the usual number of clients."""
        self.assertEqual(self.room(), 50)

    def test_listening(self) -> None:
        """One that listens keeps the backlog that it has, e.g. systemd's."""
        self.made.listen(3)
        self.assertEqual(self.room(), 4)

    def test_backlog(self) -> None:
        """It gets another one if that is said."""
        self.made.listen(3)
        self.assertEqual(self.room(backlog=7), 8)

    def test_cannot_listen(self) -> None:
        """What cannot listen is said so, and nothing is left open."""
        one, other = socket.socketpair()
        unbound = socket.socket(socket.AF_UNIX)
        with one, other, unbound:
            before = os.listdir("/proc/self/fd")
            for bad in (one, unbound):
                given = Reach(fd=bad.fileno())
                error = self.assertRaises(SockhostError, open_socket, given)
                self.assertIn(f"cannot listen on fd:{bad.fileno()}", str(error))
                self.assertEqual(os.listdir("/proc/self/fd"), before)


class ClaimTests(SynchronousTestCase):
    """Tests for L{InheritedSockets.claim}."""

    def setUp(self) -> None:
        """Inherit three descriptors side by side."""
        directory = tempfile.mkdtemp(prefix="sk")
        self.addCleanup(shutil.rmtree, directory)
        self.path = os.path.join(directory, "s")
        made = socket.socket(socket.AF_UNIX)
        self.addCleanup(made.close)
        made.bind(self.path)
        self.first = 200
        for fd in range(self.first, self.first + 3):
            os.dup2(made.fileno(), fd, inheritable=True)
            self.addCleanup(os.close, fd)
        self.environ = {"HOME": "/", "LISTEN_PID": "42", "LISTEN_FDS": "3"}

    def claim(self, names: str | None = None, pid: int = 42) -> InheritedSockets:
        """Claim them."""
        if names is not None:
            self.environ["LISTEN_FDNAMES"] = names
        return InheritedSockets.claim(self.environ, pid, self.first)

    def test_names(self) -> None:
        """Each has its name, and one without a name is called so."""
        found = self.claim("web:api")
        self.assertEqual(
            found.descriptors, {"web": (200,), "api": (201,), "unknown": (202,)}
        )

    def test_children(self) -> None:
        """Children get neither the variables nor the descriptors."""
        self.claim("a:b:c")
        self.assertEqual(self.environ, {"HOME": "/"})
        for fd in range(self.first, self.first + 3):
            self.assertFalse(os.get_inheritable(fd))

    def test_not_ours(self) -> None:
        """What is for another process, or is nothing, is left alone."""
        self.assertEqual(self.claim(pid=43).descriptors, {})
        self.assertTrue(os.get_inheritable(self.first))
        self.assertEqual(InheritedSockets.claim({}, 42).descriptors, {})
        odd = {"LISTEN_PID": "42", "LISTEN_FDS": "many"}
        self.assertEqual(InheritedSockets.claim(odd, 42).descriptors, {})

    def test_copy(self) -> None:
        """A copy can be had again and again."""
        found = self.claim("web:api:x")
        for _ in range(2):
            copy = found.copy("api")
            self.assertTrue(os.path.sameopenfile(copy, 201))
            self.assertFalse(os.get_inheritable(copy))
            os.close(copy)

    def test_unknown(self) -> None:
        """A name that is not there is refused with those that are."""
        error = self.assertRaises(SockhostError, self.claim("a:b:c").copy, "web")
        self.assertIn("sockets here: a, b, c", str(error))
        error = self.assertRaises(SockhostError, InheritedSockets({}).copy, "web")
        self.assertIn("sockets here: none", str(error))

    def test_ambiguous(self) -> None:
        """A name that several have is refused."""
        error = self.assertRaises(SockhostError, self.claim("web:web:x").copy, "web")
        self.assertIn("FileDescriptorName=", str(error))

    def test_once(self) -> None:
        """The process claims its own only once."""
        self.patch(inherited, "_claimed", [])
        self.patch(os, "environ", {})
        self.assertIs(inherited_sockets(), inherited_sockets())

    def test_taken_by_twisted(self) -> None:
        """What Twisted has taken out of the environment is found all the same."""
        program = (
            "import os\n"
            "import twisted.internet.endpoints\n"
            "from sockhost.sockets.inherited import inherited_sockets\n"
            "print(dict(inherited_sockets().descriptors))\n"
            "print([name for name in os.environ if name.startswith('LISTEN')])\n"
        )
        activate = (
            "import os, sys\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1',"
            " LISTEN_FDNAMES='web')\n"
            f"os.dup2({self.first}, 3)\n"
            "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])\n"
        )
        output = subprocess.run(
            [sys.executable, "-c", activate, program],
            pass_fds=[self.first],
            check=True,
            capture_output=True,
            timeout=30,
            cwd=ROOT,
        ).stdout
        self.assertEqual(output, b"{'web': (3,)}\n[]\n")

    def test_served(self) -> None:
        """A unit can listen on it again and again; the file is never removed."""
        found = self.claim("web:api:x")
        self.patch(reach, "inherited_sockets", lambda: found)
        for _ in range(2):
            bound = open_socket(Reach(systemd="web"))
            self.assertEqual(bound.path, self.path)
            self.assertTrue(can_connect(self.path))
            self.assertFalse(bound.unlink())
            bound.close()
        self.assertTrue(os.path.exists(self.path))


class DescriptorTests(SynchronousTestCase):
    """Tests for C{fd = N}."""

    def test_no_socket(self) -> None:
        """A descriptor that is no Unix socket is refused, and stays open."""
        without_collector(self)
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        before = os.listdir("/proc/self/fd")
        self.assertRaises(SockhostError, open_socket, Reach(fd=reader))
        with socket.socket(socket.AF_INET) as inet:
            self.assertRaises(SockhostError, open_socket, Reach(fd=inet.fileno()))
        self.assertEqual(os.listdir("/proc/self/fd"), before)

    def test_missing(self) -> None:
        """A descriptor that is not there is refused."""
        error = self.assertRaises(SockhostError, open_socket, Reach(fd=99999))
        self.assertIn("99999", str(error))

    def test_pass_credentials(self) -> None:
        """What is accepted tells who writes, if that is wanted."""
        directory = tempfile.mkdtemp(prefix="sk")
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "s")
        bound = open_socket(Reach(path=path, pass_credentials=True))
        self.addCleanup(bound.close)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            accepted, _ = bound.socket.accept()
            with accepted:
                told = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED)
        self.assertEqual(told, 1)
