# -*- test-case-name: tests.host.test_notify -*-
"""
Telling those who started the host how it is: a descriptor that gets four zero
bytes (as Samba CTDB's daemons do it), systemd's socket, and the parent that
waits while C{twistd} goes into the background.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from attrs import define
from twisted.logger import Logger

PATIENCE = 1.0
"""Seconds that systemd may take to make room for a message."""


@define
class StartupFd:
    """
    The descriptor of C{--startup-fd}: it gets 4 zero bytes when the host is
    ready, and is closed when the host ends, so that its end is seen too.

    @ivar fd: the descriptor, or C{None} for none.
    """

    fd: int | None
    log = Logger()

    def __attrs_post_init__(self) -> None:
        # A child that held it would hide the end of the host.
        if self.fd is not None:
            flags = fcntl.fcntl(self.fd, fcntl.F_GETFD)
            fcntl.fcntl(self.fd, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)

    def ready(self) -> None:
        """The host is ready."""
        if self.fd is None:
            return
        try:
            os.write(self.fd, bytes(4))
        except OSError as error:
            # Whoever was to read it is gone; that is no reason to go as well.
            self.log.warn("nobody reads --startup-fd: {error}", error=str(error))

    def close(self) -> None:
        """The host ends."""
        fd, self.fd = self.fd, None
        if fd is not None:
            os.close(fd)


@define
class SystemdNotifier:
    """
    Speaks C{sd_notify}'s protocol.

    @ivar address: the value of C{NOTIFY_SOCKET}, or C{None} for nobody.
    """

    address: str | None
    monotonic: Callable[[], float] = time.monotonic
    log = Logger()

    def ready(self) -> None:
        """The host is ready, or has finished reading its configuration again."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(self.monotonic() * 1e6)}")

    def stopping(self) -> None:
        """The host stops."""
        self._send("STOPPING=1")

    def say(self, text: str) -> None:
        """Show a line in C{systemctl status}."""
        self._send(f"STATUS={text}")

    def _send(self, message: str) -> None:
        if not self.address:
            return
        address = self.address
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                # Clients wait meanwhile, and would for ever if nobody reads.
                sender.settimeout(PATIENCE)
                sender.connect(address)
                sender.send(message.encode())
        except OSError as error:
            self.log.warn("systemd was not told: {error}", error=str(error))


@define
class DaemonPipe:
    """
    The pipe on which the parent that C{twistd} left in the foreground waits:
    C{0} makes it exit with 0, anything else with 1 and a message.

    @ivar fd: the writing end, or C{None} if there is no such parent.
    """

    fd: int | None = None

    def ready(self) -> None:
        """The host is ready."""
        self._tell(b"0")

    def failed(self, reason: str) -> None:
        """The host will not be ready."""
        # The parent reads 100 bytes and shows what stands behind the first two.
        self._tell(f"1 {reason}".encode("ascii", "backslashreplace")[:100])

    def _tell(self, text: bytes) -> None:
        fd, self.fd = self.fd, None
        if fd is None:
            return
        # A parent that was killed meanwhile needs no answer.
        with suppress(BrokenPipeError):
            os.write(fd, text)
        os.close(fd)


def is_open(number: int) -> bool:
    """Whether a descriptor is open."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
