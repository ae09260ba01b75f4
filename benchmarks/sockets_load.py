"""
The clients of L{benchmarks.sockets} where there is no C compiler: what
C{native/sockets_load.c} does, with the same arguments and the same output, but
slower than the servers, so that rates say less.

C{python -m benchmarks.sockets_load run|connect|idle|slow PATH SIZE CLIENTS WINDOW MS}
"""

from __future__ import annotations

import json
import resource
import selectors
import socket
import struct
import sys
import time
from collections import deque

from attrs import define, field

READ = 1 << 18
PATIENCE = 20.0


def connect(path: str) -> socket.socket:
    """Connect."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(path)
    return client


@define
class Times:
    """How long frames took, in seconds."""

    taken: list[float] = field(factory=list)

    def tell(self, seconds: float) -> None:
        """Print what was measured."""
        ordered = sorted(self.taken) or [0.0]
        last = len(ordered) - 1
        median, worst = ordered[last // 2], ordered[int(last * 0.999)]
        print(
            json.dumps(
                {
                    "frames": len(self.taken),
                    "seconds": seconds,
                    "p50": median * 1e6,
                    "p999": worst * 1e6,
                }
            )
        )


@define
class Client:
    """One client that has a number of frames on their way."""

    path: str
    frame: bytes
    window: int
    times: Times
    socket: socket.socket = field(init=False)
    begun: deque[float] = field(factory=deque)
    unsent: bytes = b""
    unread: bytes = b""

    def __attrs_post_init__(self) -> None:
        self.socket = connect(self.path)

    def give(self) -> bool:
        """Fill the window; say whether the kernel has taken all of it."""
        free = self.window - len(self.begun)
        self.begun.extend([time.perf_counter()] * free)
        self.unsent += self.frame * free
        return self.flush()

    def flush(self) -> bool:
        """Send what was not taken."""
        while self.unsent:
            try:
                sent = self.socket.send(self.unsent)
            except BlockingIOError:
                return False
            self.unsent = self.unsent[sent:]
        return True

    def take(self) -> None:
        """Read, and compare every byte."""
        data = self.socket.recv(READ)
        if not data:
            sys.exit("the server has closed a connection")
        self.unread += data
        count = len(self.unread) // len(self.frame)
        length = count * len(self.frame)
        if self.unread[:length] != self.frame * count:
            sys.exit("an echo was wrong")
        self.unread = self.unread[length:]
        now = time.perf_counter()
        for _ in range(count):
            self.times.taken.append(now - self.begun.popleft())

    def once(self) -> None:
        """Send one frame and get it back."""
        self.give()
        while self.begun:
            self.take()


def run(path: str, frame: bytes, clients: int, window: int, seconds: float) -> None:
    """Keep all windows full."""
    times = Times()
    everybody = [Client(path, frame, window, times) for _ in range(clients)]
    began = time.perf_counter()
    if clients == window == 1:
        while time.perf_counter() < began + seconds:
            everybody[0].once()
        times.tell(time.perf_counter() - began)
        return
    selector = selectors.DefaultSelector()
    for client in everybody:
        client.socket.setblocking(False)
        selector.register(client.socket, selectors.EVENT_READ, client)
        watch(selector, client, client.give())
    while any(client.begun for client in everybody):
        more = time.perf_counter() < began + seconds
        ready = selector.select(PATIENCE)
        if not ready:
            sys.exit(f"nothing came for {PATIENCE:g} seconds")
        for key, events in ready:
            client = key.data
            if events & selectors.EVENT_READ:
                client.take()
            watch(selector, client, client.give() if more else client.flush())
    times.tell(time.perf_counter() - began)


def watch(selector: selectors.BaseSelector, client: Client, sent: bool) -> None:
    """Wait for what the client needs."""
    events = selectors.EVENT_READ if sent else 3
    if selector.get_key(client.socket).events != events:
        selector.modify(client.socket, events, client)


def connecting(path: str, frame: bytes, seconds: float) -> None:
    """Connect, send one frame, close, and again."""
    times = Times()
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        client = Client(path, frame, 1, times)
        client.once()
        client.socket.close()
    times.tell(time.perf_counter() - began)


def idle(path: str, frame: bytes, clients: int) -> None:
    """Have many clients who have said something once."""
    times = Times()
    began = time.perf_counter()
    everybody = [Client(path, frame, 1, times) for _ in range(clients)]
    for client in everybody:
        client.once()
    pause()
    times.tell(time.perf_counter() - began)


def slow(path: str, frame: bytes, size: int) -> None:
    """Send without reading until nothing goes any more; then read all."""
    times = Times()
    began = time.perf_counter()
    client = Client(path, frame, 1, times)
    client.socket.settimeout(0.5)
    sent = 0
    try:
        while sent < size:
            sent += client.socket.send(frame[sent % len(frame) :])
    except TimeoutError:
        pass
    pause()
    client.socket.settimeout(0.0)
    client.unsent = frame[sent % len(frame) :] if sent % len(frame) else b""
    client.begun.extend([time.perf_counter()] * -(-sent // len(frame)))
    selector = selectors.DefaultSelector()
    selector.register(client.socket, selectors.EVENT_READ)
    while client.begun:
        watch(selector, client, client.flush())
        for _, events in selector.select(PATIENCE):
            if events & selectors.EVENT_READ:
                client.take()
    times.tell(time.perf_counter() - began)


def pause() -> None:
    """Say so, and wait for a line."""
    print("waiting", flush=True)
    sys.stdin.readline()


def main(argv: list[str]) -> int:
    """Do what was asked for."""
    what, path, size, clients, window, milliseconds = argv
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    length = int(size)
    body = bytes((i * 73 + (i >> 8) * 31 + 11) & 255 for i in range(4, length))
    frame = struct.pack("=I", length) + body
    if what == "run":
        run(path, frame, int(clients), int(window), int(milliseconds) / 1000)
    elif what == "connect":
        connecting(path, frame, int(milliseconds) / 1000)
    elif what == "idle":
        idle(path, frame, int(clients))
    else:
        slow(path, frame, int(clients))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
