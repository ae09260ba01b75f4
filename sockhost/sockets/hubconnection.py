# -*- test-case-name: tests.sockets.test_hubconnection -*-
"""
A client on a raw descriptor: what comes from it.

A frame of a ping-pong costs half a microsecond here beside reading it, the
handler, and writing the answer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from fcntl import ioctl
from os import read, write
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from termios import FIONREAD
from time import perf_counter
from typing import Any

from twisted.python.failure import Failure

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets.hubanswers import AnsweringConnection
from sockhost.sockets.hubclients import READ, ROOM
from sockhost.sockets.hubcut import LARGEST_IN_RUN, Partial, run_of
from sockhost.sockets.hubwriter import LARGE, OPEN
from sockhost.sockets.wire import HEADER, HEADER_SIZE

ReceivedBatch = Callable[[IClient, Sequence[bytes]], Any]

HEADER_NEXT = b""
"""
The beginning of a frame behind a large one: nothing.  Of that frame only the
header is read first, and then the payload, if it is large too, as it is to be:
to copy 64 KiB out of what was read takes 2 to 8 microseconds, another call of the
kernel half a one.
"""

MOST_LARGE, LARGE_SHARES = 256 * 1024, 8
"""
What is read of large frames at once: what a socket can hold, if the share of the
turn allows; they take little time for their bytes.  Whoever sends them waits for
room, and is woken each time that there is some: reading all was twice as fast as
64 KiB in each turn.
"""

VAIN = 8
"""
How often another large frame is not looked for at once after there was none.  It
costs a microsecond not to find one.
"""

_unpack, _pack = HEADER.unpack_from, HEADER.pack


def unread(fd: int) -> int:
    """Say how many bytes have come that were not read."""
    return int.from_bytes(ioctl(fd, FIONREAD, bytes(4)), sys.byteorder)


class HubConnection(AnsweringConnection):
    """
    One client in a hub.

    Ends by itself when either side closes the connection.
    """

    __slots__ = ()

    def event(self, events: int) -> None:
        """See L{Watched<sockhost.sockets.hub.Watched>}."""
        if events != EPOLLIN and not self._is_readable(events):
            return
        if self.session is not None or self.rest is not None:
            self._read_on()
            return
        clients = self.clients
        try:
            data = read(self.fd, clients.most)
        except BlockingIOError:
            return
        except OSError as error:
            self.broken(error)
            return
        size = len(data)
        if size < clients.least or _unpack(data)[0] != size:
            if size == clients.most:
                self._take_much(data)
            else:
                self._got(data)
            return
        # Exactly one frame, as in any ping-pong: cut, answered and written
        # with nothing between.
        self.frames_in += 1
        self.bytes_in += size
        try:
            answer = clients.received(self.client, data[HEADER_SIZE:])
        except BaseException:
            self.wake().fault(Failure())
            return
        if (
            type(answer) is not bytes
            or len(answer) > clients.small
            or self.corked is not None
            or self.queue is not None
            or self.session is not None
        ):
            if size >= LARGE and self.session is None:
                self.rest = HEADER_NEXT
            self.take(answer, size - HEADER_SIZE)
            self.end_of_read()
            return
        data = _pack(len(answer) + HEADER_SIZE) + answer
        size = len(data)
        self.frames_out += 1
        self.bytes_out += size
        try:
            sent = write(self.fd, data)
            if sent == size:
                return
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.broken(error)
            return
        self.refused(data[sent:])
        self.balance()

    def _is_readable(self, events: int) -> bool:
        if events == EPOLLIN | EPOLLHUP:
            return True
        if events & EPOLLOUT:
            self.writable()
        if events & EPOLLIN and self.events & EPOLLIN:
            return True
        if events & (EPOLLHUP | EPOLLERR):
            if self._has_left_something():
                self.hub.mute(self.fd)
            else:
                self.lost(Disconnected("the connection was lost: the client is gone"))
        return False

    def _has_left_something(self) -> bool:
        """Say whether the handler may still get frames of one who has gone."""
        if self.state != OPEN or self.reading or self.clients.server.draining:
            return False
        if self.queue is not None:
            # Writing that would fail.  Who is muted would not be told that it may
            # be tried: the kernel tells that the client has gone before it throws
            # away what the client had not read.
            return False
        return (self.session is not None and self.session.waits) or unread(self.fd) > 0

    def _read_on(self) -> None:
        rest, most = self.rest, min(self.clients.most, self.hub.share)
        if (self.session is None and type(rest) is not bytes) or rest == HEADER_NEXT:
            self._read_large()
            return
        if rest is not None:
            most = min(READ - len(rest), most)  # type: ignore[arg-type]
        data = self._read(most)
        if data is None:
            return
        if len(data) == most:
            self._take_much(data)
        else:
            self._take(data)

    def _take_much(self, data: bytes) -> None:
        """There may be more than this."""
        self.hub.greedy[self.fd] = None
        begun = perf_counter()
        self._take(data)
        self.clients.pace(perf_counter() - begun)

    def _take(self, data: bytes) -> None:
        if self.session is None or not data:
            self._got(data)
        else:
            self.session.feed(data)
            self.sleep()

    def _read(self, most: int) -> bytes | None:
        try:
            return read(self.fd, most)
        except BlockingIOError:
            return None
        except OSError as error:
            self.broken(error)
            return None

    def _read_large(self) -> None:
        clients, rest, before = self.clients, self.rest, self.frames_in
        left = min(MOST_LARGE, LARGE_SHARES * self.hub.share)
        self.hold()
        while isinstance(rest, Partial) or rest == HEADER_NEXT:
            most = HEADER_SIZE
            if isinstance(rest, Partial):
                most = min(READ, rest.missing)
            elif self.frames_in != before and clients.vain > 0:
                clients.vain -= 1
                break
            data = self._read(most)
            if data is None:
                clients.vain = VAIN if self.frames_in != before else clients.vain
                break
            if not data:
                self.end_of_read()
                self._ended_by_client()
                return
            self._take_large(rest, data)
            rest, left = self.rest, left - len(data)
            if len(data) < most or left <= 0 or self._is_owed_much():
                break
        self.end_of_read()

    def _take_large(self, rest: bytes | Partial, data: bytes) -> None:
        self.bytes_in += len(data)
        if isinstance(rest, Partial):
            frame = rest.add(data)
            if frame is not None:
                self.rest = HEADER_NEXT
                self.give(frame)
        else:
            self.rest = None
            self._cut(data)

    def _is_owed_much(self) -> bool:
        return self.session is not None or self.is_full()

    def _got(self, data: bytes) -> None:
        if not data:
            self._ended_by_client()
            return
        self.bytes_in += len(data)
        rest, self.rest = self.rest, None
        self.hold()
        # Small beginnings are put in front of the next read: a buffer of its
        # own for each made frames of 3 KB 5 to 14 times slower.
        self._cut(data if rest is None else rest + data)  # type: ignore[operator]
        self.end_of_read()

    def _cut(self, data: bytes) -> None:
        if self.clients.batch is None:
            offset = self._give_frames(data)
        else:
            offset = self._give_together(data, self.clients.batch)
        left = len(data) - offset
        if not left:
            return
        length = _unpack(data, offset)[0] if left >= HEADER_SIZE else HEADER_SIZE + 1
        whole = not left < length <= self.clients.max_frame
        if self.session is not None or whole or length < HEADER_SIZE:
            # Too much is owed to the client, it is ended, or this is no frame.
            self._hand_on(data[offset:])
        elif length < LARGE:
            self.rest = data[offset:]
        else:
            self.rest = Partial(length, data[offset + HEADER_SIZE :])

    def _hand_on(self, data: bytes) -> None:
        # It was counted when it was read.
        self.wake().digest(data)

    def _give_frames(self, data: bytes) -> int:
        """Give whole frames to the handler; say where the first other is."""
        clients = self.clients
        largest, high = clients.max_frame, clients.server.limits.high_water
        offset, end = 0, len(data)
        no_run_before = 0 if clients.runs else end
        while end - offset >= HEADER_SIZE and self.session is None:
            if self.queued > high or (self.in_flight and self.is_full()):
                break
            (length,) = _unpack(data, offset)
            stop = offset + length
            if stop > end or not HEADER_SIZE <= length <= largest:
                break
            run_possible = stop + 7 * length <= end and length <= LARGEST_IN_RUN
            if run_possible and offset >= no_run_before:
                most = self._most((end - offset) // length, length)
                frames = run_of(data, offset, length, most)
                if frames:
                    offset += self.give_run(frames, length - HEADER_SIZE) * length
                    continue
                # Cutting 64 in vain takes as long as 5 one by one.
                no_run_before = offset + 64 * length
            self.give(data[offset + HEADER_SIZE : stop])
            offset = stop
        return offset

    def _give_together(self, data: bytes, received: ReceivedBatch) -> int:
        """The same for a handler that takes several at once: as many as may be."""
        clients = self.clients
        offset, end, frames = 0, len(data), list[bytes]()
        room = clients.server.limits.max_in_flight - self.in_flight
        if self.is_full():
            room = 0
        while end - offset >= HEADER_SIZE and len(frames) < room:
            (length,) = _unpack(data, offset)
            stop = offset + length
            if stop > end or not HEADER_SIZE <= length <= clients.max_frame:
                break
            most = min((end - offset) // length, room - len(frames))
            run = run_of(data, offset, length, most) if length <= LARGEST_IN_RUN else ()
            frames += run or (data[offset + HEADER_SIZE : stop],)
            offset += len(run or (0,)) * length
        if frames:
            self.give_batch(received, frames)
        return offset

    def _most(self, most: int, length: int) -> int:
        """Say how many frames may be given to the handler without a look."""
        clients = self.clients
        limits = clients.server.limits
        if self.in_flight or limits.max_in_flight < 64:
            most = min(most, limits.max_in_flight - self.in_flight)
        free = limits.max_in_flight_bytes - self.in_flight_bytes
        if free < 64 * LARGEST_IN_RUN:
            most = min(most, free // length)
        fit = (limits.high_water - self.queued) // clients.room
        if fit < most and clients.room > ROOM:
            # Answers may have become smaller, but only a run would show it.
            clients.room -= clients.room // 8
        return min(most, fit)

    def _ended_by_client(self) -> None:
        if self.clients.finishing:
            # The end would be told again and again.
            self.wait_for(self.events & ~EPOLLIN)
            self.wake().half_close()
        else:
            self.lost(None)
