"""
Tests for L{sockhost.redis.wire}: which way the bytes go.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet import main, tcp
from twisted.internet.interfaces import ITCPTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sockhost.redis.wire import make_sender, read_directly, set_keepalive


class _Socket:
    """A socket that takes and gives what it is told to."""

    def __init__(self, *takes: int | OSError) -> None:
        self.takes = list(takes)
        self.sent: list[bytes] = []
        self.gives: list[bytes | OSError] = []
        self.options: list[tuple[int, int, int]] = []

    def send(self, data: bytes) -> int:
        taken = self.takes.pop(0)
        if isinstance(taken, OSError):
            raise taken
        self.sent.append(data[:taken])
        return min(taken, len(data))

    def recv(self, size: int) -> bytes:
        given = self.gives.pop(0)
        if isinstance(given, OSError):
            raise given
        return given

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)  # type: ignore[arg-type]


class _Transport(tcp.Connection):
    """As much of a transport as is looked at."""

    def __init__(self, handle: _Socket) -> None:
        self.socket = handle  # type: ignore[assignment]
        self.written: list[bytes] = []
        self.dataBuffer = b""
        self._tempDataBuffer: list[bytes] = []
        self.disconnecting = False
        self.connected = True
        self.TLS = False
        self.producer = None

    def write(self, data: bytes) -> None:
        self.written.append(data)


class SenderTests(SynchronousTestCase):
    """What is sent past the transport, and what is not."""

    def send(self, *takes: int | OSError, **state: Any) -> tuple[_Socket, _Transport]:
        """Send six bytes through a transport in that state."""
        handle = _Socket(*takes)
        transport = _Transport(handle)
        for name, value in state.items():
            setattr(transport, name, value)
        make_sender(transport, None)(b"abcdef")
        return handle, transport

    def test_direct(self) -> None:
        """Where nothing stands against it, the kernel gets the bytes at once."""
        handle, transport = self.send(6)
        self.assertEqual((handle.sent, transport.written), ([b"abcdef"], []))

    def test_part(self) -> None:
        """What the kernel does not take goes to the transport."""
        handle, transport = self.send(4)
        self.assertEqual((handle.sent, transport.written), ([b"abcd"], [b"ef"]))

    def test_error(self) -> None:
        """After any error the transport gets all, and finds out."""
        for error in (BlockingIOError(), BrokenPipeError(), ConnectionResetError()):
            handle, transport = self.send(error)
            self.assertEqual((handle.sent, transport.written), ([], [b"abcdef"]))

    def test_not_direct(self) -> None:
        """The transport gets all where it has something before or around it."""
        for state in (
            {"dataBuffer": b"x"},
            {"_tempDataBuffer": [b"x"]},
            {"disconnecting": True},
            {"connected": False},
            {"TLS": True},
            {"producer": object()},
        ):
            handle, transport = self.send(**state)
            self.assertEqual((handle.sent, transport.written), ([], [b"abcdef"]))

    def test_wrapped(self) -> None:
        """What only looks like the transport of a socket is written to."""

        class Wrapper:
            def __init__(self) -> None:
                self.transport = _Transport(_Socket())
                self.written: list[bytes] = []

            def write(self, data: bytes) -> None:
                self.written.append(data)

            def __getattr__(self, name: str) -> Any:
                return getattr(self.transport, name)

        wrapper = Wrapper()
        make_sender(wrapper, None)(b"secret")
        self.assertEqual(
            (wrapper.written, wrapper.transport.written), ([b"secret"], [])
        )


class ReaderTests(SynchronousTestCase):
    """What is read past the transport."""

    def test_reads(self) -> None:
        """Data is handed on; the end and errors are told as the reactor expects."""
        handle = _Socket()
        handle.gives = [b"ab", BlockingIOError(), ConnectionResetError(), b""]
        transport = _Transport(handle)
        received: list[bytes] = []
        read_directly(transport, received.append)
        outcomes = [transport.doRead() for _ in range(4)]
        self.assertEqual(received, [b"ab"])
        self.assertEqual(
            outcomes, [None, None, main.CONNECTION_LOST, main.CONNECTION_DONE]
        )

    def test_written_in_vain(self) -> None:
        """What came before the other side went is read, when a write says so."""
        for end in (b"", BlockingIOError(), ConnectionResetError()):
            handle = _Socket(BrokenPipeError(errno.EPIPE, "gone"))
            handle.gives = [b"ab", b"cd", end]
            transport = _Transport(handle)
            received: list[bytes] = []
            read_directly(transport, received.append)
            transport.dataBuffer, transport.offset = b"x", 0
            self.assertIs(transport.doWrite(), main.CONNECTION_LOST)
            self.assertEqual((received, handle.gives), ([b"ab", b"cd"], []))

    def test_others(self) -> None:
        """Other transports are left alone."""
        transport = object()
        read_directly(transport, print)
        self.assertFalse(hasattr(transport, "doRead"))


class KeepAliveTests(SynchronousTestCase):
    """What TCP is told."""

    def options(self, *settings: float) -> tuple[bool | None, dict[int, int]]:
        """Tell a transport of TCP."""

        @implementer(ITCPTransport)
        class TCP:  # type: ignore[misc]
            enabled: bool | None = None
            handle = _Socket()

            def setTcpKeepAlive(self, enabled: bool) -> None:
                self.enabled = enabled

            def getHandle(self) -> _Socket:
                return self.handle

        transport = TCP()
        set_keepalive(transport, *settings)
        options = {option: value for _, option, value in transport.handle.options}
        return transport.enabled, options

    def test_on(self) -> None:
        """Three probes, a third of the time apart."""
        self.assertEqual(
            self.options(15.0),
            (
                True,
                {
                    socket.TCP_KEEPIDLE: 15,
                    socket.TCP_KEEPINTVL: 5,
                    socket.TCP_KEEPCNT: 3,
                },
            ),
        )

    def test_user_timeout(self) -> None:
        """What is sent may be given a time of its own, in milliseconds."""
        self.assertEqual(
            self.options(0.0, 2.5), (False, {socket.TCP_USER_TIMEOUT: 2500})
        )

    def test_unix(self) -> None:
        """A transport that is not of TCP is left alone."""
        transport = object()
        set_keepalive(transport, 15.0)
        self.assertEqual(dir(transport), dir(object()))
