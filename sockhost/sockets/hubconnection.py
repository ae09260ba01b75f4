# -*- test-case-name: tests.sockets.test_hubconnection -*-
"""
A client on a raw descriptor: what comes from it.

A frame of a ping-pong costs half a microsecond here beside reading it, the
handler, and writing the answer.
"""

from __future__ import annotations

from os import read, write
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT

from twisted.python.failure import Failure

from sockhost.interfaces import Disconnected
from sockhost.sockets.hubanswers import AnsweringConnection
from sockhost.sockets.hubclients import READ
from sockhost.sockets.hubcut import LARGEST_IN_RUN, Partial, run_of
from sockhost.sockets.hubwriter import LARGE
from sockhost.sockets.wire import HEADER, HEADER_SIZE

_unpack, _pack = HEADER.unpack_from, HEADER.pack


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
            data = read(self.fd, READ)
        except BlockingIOError:
            return
        except OSError as error:
            self.broken(error)
            return
        size = len(data)
        if size < clients.least or _unpack(data)[0] != size:
            self._got(data)
            return
        # Exactly one frame, as in any ping-pong: cut, answered and written
        # with nothing between.
        self.frames_in += 1
        self.bytes_in += size
        try:
            answer = clients.received(self.client, data[HEADER_SIZE:])
        except Exception:
            self.wake().fault(Failure())
            return
        if (
            type(answer) is not bytes
            or len(answer) > clients.small
            or self.corked is not None
            or self.queue is not None
            or self.session is not None
        ):
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
        if events & EPOLLOUT:
            self.writable()
        if events & EPOLLIN and self.events & EPOLLIN:
            return True
        if events & (EPOLLHUP | EPOLLERR):
            self.lost(Disconnected("the connection was lost: the client is gone"))
        return False

    def _read_on(self) -> None:
        rest, most = self.rest, min(READ, self.hub.share)
        if type(rest) is Partial:
            most = min(READ, rest.missing)
        elif type(rest) is bytes:
            most = min(READ - len(rest), self.hub.share)
        try:
            data = read(self.fd, most)
        except BlockingIOError:
            return
        except OSError as error:
            self.broken(error)
            return
        if self.session is None or not data:
            self._got(data)
        else:
            self.session.feed(data)
            self.sleep()

    def _got(self, data: bytes) -> None:
        if not data:
            self._ended_by_client()
            return
        self.bytes_in += len(data)
        rest, self.rest = self.rest, None
        self.hold()
        if rest is None:
            self._cut(data)
        elif type(rest) is bytes:
            # So small beginnings are put in front of the next read: a buffer
            # of its own for each made frames of 3 KB 5 to 14 times slower.
            self._cut(rest + data)
        elif type(rest) is Partial:
            frame = rest.add(data)
            if frame is None:
                self.rest = rest
            else:
                self.give(frame)
        self.end_of_read()

    def _cut(self, data: bytes) -> None:
        offset = self._give_frames(data)
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
        session = self.wake()
        # It counts again what was counted when it was read.
        session.bytes_in -= len(data)
        session.feed(data)

    def _give_frames(self, data: bytes) -> int:
        """Give whole frames to the handler; say where the first other is."""
        clients = self.clients
        largest, high = clients.max_frame, clients.server.limits.high_water
        offset, end = 0, len(data)
        no_run_before = 0 if clients.runs else end
        while end - offset >= HEADER_SIZE and self.session is None:
            if self.queued > high or (self.work is not None and self.is_full()):
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

    def _most(self, most: int, length: int) -> int:
        """Say how many frames may be given to the handler without a look."""
        clients = self.clients
        limits = clients.server.limits
        if self.work is not None or limits.max_in_flight < 64:
            most = min(most, limits.max_in_flight - self.in_flight)
        free = limits.max_in_flight_bytes - self.in_flight_bytes
        if free < 64 * LARGEST_IN_RUN:
            most = min(most, free // length)
        return min(most, (limits.high_water - self.queued) // clients.room)

    def _ended_by_client(self) -> None:
        if self.clients.finishing:
            # The end would be told again and again.
            self.wait_for(self.events & ~EPOLLIN)
            self.wake().half_close()
        else:
            self.lost(None)
