"""
Sockets at paths: what is made, and what is left alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from sockhost.interfaces import PathInUse, SockhostError
from sockhost.sockets import bound as bound_module
from sockhost.sockets.bound import BoundSocket, adopt_unix, bind_unix
from sockhost.sockets.stale import inode_at


def can_connect(path: str) -> bool:
    """Try to connect."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


class InDirectory(SynchronousTestCase):
    """A test with a directory for sockets."""

    def setUp(self) -> None:
        """Make it; its name is short enough for a socket's path."""
        self.directory = tempfile.mkdtemp(prefix="sk")
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "s")

    def bind(self, **how: object) -> BoundSocket:
        """Bind a socket that is closed after the test."""
        bound = bind_unix(self.path, **how)  # type: ignore[arg-type]
        self.addCleanup(bound.close)
        return bound

    def leave_stale(self) -> None:
        """Leave the file of a socket that nobody listens on."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(self.path)


@define
class Moment:
    """Something that happens once, just before another thing."""

    _happens: Callable[[], None]
    _over: bool = False

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Call it then."""

        def called(*args: Any, **more: Any) -> Any:
            if not self._over:
                self._over = True
                self._happens()
            return call(*args, **more)

        return called


class BindTests(InDirectory):
    """Tests for L{bind_unix}."""

    def test_mode(self) -> None:
        """The file has the mode, whatever the umask is, which stays as it is."""
        for mask in (0, 0o077):
            before = os.umask(mask)
            self.addCleanup(os.umask, before)
            for mode in (0o600, 0o660, 0o777):
                bound = self.bind(mode=mode)
                self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), mode)
                bound.unlink()
                bound.close()
            self.assertEqual(os.umask(before), mask)

    def test_mode_before_listening(self) -> None:
        """Nobody can connect before the mode is in place."""
        bound = self.bind(mode=0o666, listen=False)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o666)
        self.assertFalse(can_connect(self.path))
        bound.listen()
        self.assertTrue(can_connect(self.path))

    def test_swapped_for_link(self) -> None:
        """
        Who may write the directory cannot have another file changed by putting
        a link to it in the place of the socket just made.
        """
        before, moment = self.victim(), Moment(self.swap)
        self.patch(bound_module, "inode_at", moment.before(inode_at))
        error = self.assertRaises(PathInUse, self.bind, mode=0o666)
        self.assertIn("taken the place", str(error))
        self.assertEqual(os.stat(self.path + ".victim"), before)
        self.assertTrue(os.path.islink(self.path))

    def test_swapped_later(self) -> None:
        """Nor by putting it there after that was looked at."""
        before, moment = self.victim(), Moment(self.swap)
        self.patch(os, "chown", moment.before(os.chown))
        self.bind(mode=0o666)
        self.assertEqual(os.stat(self.path + ".victim"), before)
        made = os.stat(self.path + ".old")
        self.assertEqual(stat.S_IMODE(made.st_mode), 0o666)

    def victim(self) -> os.stat_result:
        """Make a file that is to be left alone."""
        os.close(os.open(self.path + ".victim", os.O_CREAT, 0o600))
        return os.stat(self.path + ".victim")

    def swap(self) -> None:
        """Put a link to that file in the place of the socket."""
        os.rename(self.path, self.path + ".old")
        os.symlink(self.path + ".victim", self.path)

    def test_owner(self) -> None:
        """The file is given to a user and a group, by name or number."""
        if os.geteuid() != 0:
            raise SkipTest("only root may give files away")
        self.bind(owner="nobody", group=12345)
        found = os.stat(self.path)
        self.assertEqual((found.st_uid, found.st_gid), (65534, 12345))

    def test_unknown_owner(self) -> None:
        """An unknown user or group is named, and nothing is made."""
        error = self.assertRaises(SockhostError, self.bind, owner="no-such-user")
        self.assertIn("'no-such-user'", str(error))
        error = self.assertRaises(SockhostError, self.bind, group="no-such-group")
        self.assertIn("'no-such-group'", str(error))
        self.assertFalse(os.path.exists(self.path))

    def test_descriptor(self) -> None:
        """The descriptor does not block and is not inherited."""
        bound = self.bind()
        self.assertFalse(os.get_inheritable(bound.fileno()))
        self.assertFalse(os.get_blocking(bound.fileno()))

    def test_stale(self) -> None:
        """What an ended listener left behind is replaced."""
        self.leave_stale()
        self.bind()
        self.assertTrue(can_connect(self.path))

    def test_live(self) -> None:
        """A socket that somebody listens on is left alone and goes on."""
        self.bind()
        before = os.stat(self.path)
        error = self.assertRaises(PathInUse, bind_unix, self.path)
        self.assertIn(f"another process listens on {self.path}", str(error))
        self.assertEqual(os.stat(self.path), before)
        self.assertTrue(can_connect(self.path))

    def test_live_with_full_backlog(self) -> None:
        """So is one that has no room for more clients."""
        self.bind(backlog=0)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            self.assertRaises(PathInUse, bind_unix, self.path)
        self.assertTrue(os.path.exists(self.path))

    def test_other_socket(self) -> None:
        """So is a socket of another type."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(self.path)
            self.assertRaises(PathInUse, bind_unix, self.path)
            self.assertTrue(os.path.exists(self.path))

    def test_regular_file(self) -> None:
        """A file that is not a socket is left untouched."""
        with open(self.path, "w", encoding="ascii") as file:
            file.write("precious")
        error = self.assertRaises(PathInUse, bind_unix, self.path)
        self.assertIn("is not a socket", str(error))
        with open(self.path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")

    def test_symbolic_link(self) -> None:
        """So is a link, wherever it leads."""
        target = self.path + ".target"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(target)
        os.symlink(target, self.path)
        self.assertRaises(PathInUse, bind_unix, self.path)
        self.assertTrue(os.path.islink(self.path))
        self.assertTrue(os.path.exists(target))

    def test_path_too_long(self) -> None:
        """A path of 107 bytes can be bound, one of 108 is refused by its length."""
        longest = os.path.join(self.directory, "x" * (106 - len(self.directory)))
        bound = bind_unix(longest)
        self.addCleanup(bound.close)
        self.assertTrue(can_connect(longest))
        error = self.assertRaises(SockhostError, bind_unix, longest + "x")
        self.assertIn("is 108 bytes long", str(error))

    def test_no_path(self) -> None:
        """Nothing, and the name of an abstract socket, are no paths."""
        self.assertRaises(SockhostError, bind_unix, "")
        self.assertRaises(SockhostError, bind_unix, "\0abstract")

    def test_no_directory(self) -> None:
        """A directory that is not there is told with the path."""
        path = os.path.join(self.directory, "no", "s")
        error = self.assertRaises(SockhostError, bind_unix, path)
        self.assertIn(path, str(error))
        self.assertIn("No such file or directory", str(error))


class BoundSocketTests(InDirectory):
    """Tests for L{BoundSocket}."""

    def test_unlink(self) -> None:
        """The file is removed once."""
        bound = self.bind()
        self.assertTrue(bound.unlink())
        self.assertFalse(os.path.exists(self.path))
        self.assertFalse(bound.unlink())

    def test_unlink_replaced(self) -> None:
        """What has taken the file's place is not removed."""
        bound = self.bind()
        os.rename(self.path, self.path + ".old")
        with open(self.path, "w", encoding="ascii"):
            pass
        self.assertFalse(bound.unlink())
        self.assertTrue(os.path.exists(self.path))

    def test_unlink_gone(self) -> None:
        """That somebody else has removed it is no error."""
        bound = self.bind()
        os.unlink(self.path)
        self.assertFalse(bound.unlink())

    def test_close_keeps_file(self) -> None:
        """Closing leaves the file, for who is to remove it."""
        self.bind().close()
        self.assertTrue(os.path.exists(self.path))

    def test_adopt(self) -> None:
        """An adopted socket accepts, and its file is not its own."""
        bound = self.bind(mode=0o640)
        fd = os.dup(bound.fileno())
        os.set_inheritable(fd, True)
        adopted = adopt_unix(fd)
        self.addCleanup(adopted.close)
        self.assertEqual((adopted.fileno(), adopted.path), (fd, self.path))
        self.assertFalse(os.get_inheritable(fd))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            accepted, _ = adopted.socket.accept()
            accepted.close()
        self.assertFalse(adopted.unlink())
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o640)

    def test_adopt_other(self) -> None:
        """What is no Unix stream socket is not adopted, and stays open."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        self.assertRaises(SockhostError, adopt_unix, read)
        with socket.socket(socket.AF_INET) as other:
            self.assertRaises(SockhostError, adopt_unix, other.fileno())
            other.getsockname()
        os.fstat(read)
