# -*- test-case-name: tests.supervise.test_notify -*-
"""
The socket on which a program says for itself how it is: C{NOTIFY_SOCKET}, as
C{sd_notify(3)} describes it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from sockhost.supervise.execution import Once

#: The variable that tells a program the path.
VARIABLE = "NOTIFY_SOCKET"
_MAX_MESSAGE = 65536
#: A program that writes without a pause leaves the others their turns.
_AT_ONCE = 32
_MAX_PATH = 107


def notify_path(run_dir: str, name: str) -> str:
    """
    Say where the socket of a unit is.

    @raise ValueError: the path is too long for a socket.
    """
    path = os.path.join(run_dir, "notify", name)
    size = len(os.fsencode(path))
    if size > _MAX_PATH:
        raise ValueError(
            f"the notify socket {path} has {size} bytes, "
            f"and a Unix socket's path at most {_MAX_PATH}: use a shorter run_dir"
        )
    return path


@implementer(IReadDescriptor)
@define(eq=False)
class NotifySocket:
    """
    The notify socket of one run of a program.

    @ivar path: where it is.
    @ivar ready: fires when the program says C{READY=1}.
    @ivar status: what the program last said as C{STATUS=}.
    """

    _reactor: IReactorFDSet
    path: str
    ready: Once[None] = field(factory=Once)
    status: str | None = None
    _socket: socket.socket | None = None

    def open(self, uid: int | None = None) -> None:
        """
        Make the socket, for the host's user and one other to write to.

        @param uid: the other one.
        @raise OSError: it cannot be made; then nothing is left of it.
        """
        directory = os.path.dirname(self.path)
        if not os.path.isdir(directory):
            os.makedirs(directory)
            # Whatever the umask: a program of another user has to get there.
            os.chmod(directory, 0o711)
        self._unlink()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            # Nobody else gets in between bind and chmod: a descriptor's mode
            # is taken over by bind.
            os.fchmod(made.fileno(), 0o600)
            made.bind(self.path)
            if uid is not None:
                os.chown(self.path, uid, -1, follow_symlinks=False)
        except OSError:
            made.close()
            self._unlink()
            raise
        self._socket = made
        self._reactor.addReader(self)

    def close(self) -> None:
        """Remove the socket; legal at any time."""
        if self._socket is not None:
            self._reactor.removeReader(self)
            self._socket.close()
            self._socket = None
            self._unlink()

    def message(self, data: bytes) -> None:
        """Take one datagram.  What it says besides is not for us."""
        lines = data.decode(errors="replace").splitlines()
        for line in lines:
            if line.startswith("STATUS="):
                self.status = line.removeprefix("STATUS=") or None
        if "READY=1" in lines and not self.ready.fired:
            self.ready.fire(None)

    def fileno(self) -> int:
        """The descriptor, or -1 once it is closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """Name this in log messages."""
        return "notify socket"

    def doRead(self) -> Any:
        """Read the datagrams that are there, up to a number of them."""
        for _ in range(_AT_ONCE):
            if self._socket is None:
                break
            try:
                data = self._socket.recv(_MAX_MESSAGE)
            except BlockingIOError:
                return None
            self.message(data)
        return None

    def connectionLost(self, _reason: Failure) -> None:
        """The reactor is going away."""
        self.close()

    def _unlink(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
