"""
Traces as Wireshark's own C{text2pcap} reads them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import count
from struct import unpack_from

from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.trace import IN, LARGEST, OUT, Trace

TEXT2PCAP = shutil.which("text2pcap")
COMMAND = ("-q", "-D", "-t", "ISO", "-l", "147")

_PACKET, _FLAGS = 6, 2
_WAYS = {1: IN, 2: OUT}


Packet = tuple[str, int, bytes]
"""The direction, the time in nanoseconds, and the bytes."""


def read_pcapng(data: bytes) -> list[Packet]:
    """Read the packets of a file."""
    packets = []
    start = 0
    while start < len(data):
        kind, length = unpack_from("=II", data, start)
        if kind == _PACKET:
            _, high, low, size, _ = unpack_from("=IIIII", data, start + 8)
            options = start + 28 + (size + 3) // 4 * 4
            option, _, flags = unpack_from("=HHI", data, options)
            assert option == _FLAGS
            at = high << 32 | low
            content = data[start + 28 : start + 28 + size]
            packets.append((_WAYS[flags & 3], at, content))
        start += length
    return packets


class Text2pcapTests(SynchronousTestCase):
    """What C{text2pcap} makes of a trace."""

    if TEXT2PCAP is None:
        skip = "text2pcap is not installed"

    def convert(self, path: str) -> list[Packet]:
        """Convert a trace as the documentation says, far from Greenwich."""
        made = self.mktemp()
        subprocess.run(
            [TEXT2PCAP or "", *COMMAND, path, made],
            check=True,
            timeout=60,
            capture_output=True,
            env={**os.environ, "TZ": "Pacific/Auckland"},
        )
        with open(made, "rb") as file:
            return read_pcapng(file.read())

    def test_packets(self) -> None:
        """Each frame has its direction, its time and its bytes; empty ones none."""
        path, clock = self.mktemp(), count(1_700_000_000)
        trace = Trace(path, 1 << 24, lambda: next(clock) + 0.25)
        frames = [
            (IN, b"ask"),
            (OUT, bytes(range(256))),
            (IN, b""),
            (OUT, b""),
            (OUT, b"# no comment\n000000 41\n"),
            (IN, b""),
            (IN, b"x" * (LARGEST + 10)),
            (OUT, b"\0"),
        ]
        for way, payload in frames:
            trace.note(way, "client 3 pid 7", payload)
        trace.close()
        expected = [
            (way, at * 10**9 + 250_000_000, payload[:LARGEST])
            for (way, payload), at in zip(frames, count(1_700_000_000), strict=False)
            if payload
        ]
        self.assertEqual(self.convert(path), expected)
