"""
The commands for sockets and their clients, with a real host.
"""

from __future__ import annotations

import json
import os

from twisted.internet.threads import deferToThread

from sockhost.interfaces import Disconnected
from sockhost.sockets.blocking import BlockingClient
from sockhost.sockets.wire import pack
from tests.functional.hosts import HostCase, Running, pause

CONFIG = """
    [unit.kv]
    kind = "socket"
    path = "{run_dir}/kv.sock"
    handler = "handlers:Handler"
    max_frame = 50_000_000

    [unit.lines]
    kind = "socket"
    path = "{run_dir}/lines.sock"
    handler = "handlers:Handler"
    framing = "line"
"""

HANDLERS = """
    from twisted.internet.defer import Deferred


    class Handler:
        def __init__(self, host):
            pass

        def received(self, client, frame):
            if frame == b"thrice":
                for number in range(3):
                    client.send(b"%d" % number)
                return None
            if frame == b"never":
                return Deferred()
            if frame == b"fail":
                raise RuntimeError("asked to")
            return frame[::-1]
"""


class CommandCase(HostCase):
    """A host with two sockets."""

    timeout = 100

    async def start(self) -> Running:
        """Start it."""
        self.write("sockhost.toml", CONFIG)
        self.write("handlers.py", HANDLERS)
        running = self.twistd()
        await running.says("ready; steer it")
        return running

    def client(self) -> BlockingClient:
        """Connect a client that is closed after the test."""
        client = BlockingClient(str(self.run_dir / "kv.sock"), timeout=20)
        self.addCleanup(client.close)
        return client


class SendTests(CommandCase):
    """C{sockhost send}, which talks to a live socket."""

    async def send(self, *args: str, path: str = "run/kv.sock") -> tuple[int, str]:
        """Run it."""
        return await self.cli("send", path, *args)

    async def test_forms(self) -> None:
        """Text, hexadecimal, JSON and files go there, and replies come back."""
        await self.start()
        self.assertEqual(await self.send("abc", "de"), (0, "cba\ned\n"))
        self.assertEqual(await self.send("--hex", "00ff10"), (0, "10ff00\n"))
        status, output = await self.send("--json", "abc")
        self.assertEqual((status, json.loads(output)), (0, {"text": "cba"}))
        frames = ['{"hex": "c3"}', '{"text": "ab"}', '{"json": [1]}']
        status, output = await self.send("--from-json", "--json", *frames)
        replies = [json.loads(line) for line in output.splitlines()]
        self.assertEqual(replies, [{"hex": "c3"}, {"text": "ba"}, {"text": "]1["}])
        self.write("frame", "in a file")
        self.assertEqual(await self.send("--file", "frame"), (0, "elif a ni\n"))
        lines = await self.send("--framing", "line", "abc", path="run/lines.sock")
        self.assertEqual(lines, (0, "cba\n"))

    async def test_count(self) -> None:
        """It waits for as many replies as it is told to."""
        await self.start()
        self.assertEqual(await self.send("thrice", "--count", "3"), (0, "0\n1\n2\n"))
        self.assertEqual(await self.send("never", "--count", "0"), (0, ""))

    async def test_max_frame(self) -> None:
        """A frame may be as great as the socket's may."""
        await self.start()
        (self.directory / "great").write_bytes(b"x" * 17_000_000)
        status, output = await self.send("--file", "great", "--hex")
        self.assertEqual(status, 1, output[-300:])
        self.assertIn("16777216", output)
        limit = ("--max-frame", "50000000")
        status, output = await self.send("--file", "great", *limit)
        self.assertEqual((status, len(output)), (0, 17_000_001))

    async def test_no_reply(self) -> None:
        """It says so and exits with what says why when there is no reply."""
        await self.start()
        status, output = await self.send("never", "--timeout", "0.3")
        self.assertEqual(status, 75)
        self.assertIn("no reply from run/kv.sock within 0.3 s", output)
        status, output = await self.send("abc", "fail")
        self.assertEqual((status, output.splitlines()[0]), (1, "cba"))
        status, output = await self.send("x", path="run/nobody.sock")
        self.assertEqual(status, 69)
        self.assertIn("nobody listens on run/nobody.sock", output)


class ClientsTests(CommandCase):
    """C{sockhost clients} and C{sockhost kick}, for clients that are connected."""

    async def test_clients(self) -> None:
        """Who is connected is shown, with what they have asked."""
        await self.start()
        self.assertEqual(await self.cli("clients", "kv"), (0, "no clients\n"))
        client = self.client()
        for frame in (b"ab", b"cde"):
            await deferToThread(client.request, frame)
        status, output = await self.cli("clients", "kv", "--json")
        (told,) = json.loads(output)
        self.assertEqual(status, 0)
        self.assertEqual(
            {name: told[name] for name in ("pid", "uid", "gid", *COUNTED)},
            {
                "pid": os.getpid(),
                "uid": os.geteuid(),
                "gid": os.getegid(),
                "frames_in": 2,
                "frames_out": 2,
                "bytes_in": len(pack(b"ab") + pack(b"cde")),
                "in_flight": 0,
            },
        )
        status, output = await self.cli("clients", "kv")
        heading, line = output.splitlines()
        self.assertEqual((status, heading.split()[:2]), (0, ["CLIENT", "PID"]))
        self.assertEqual(line.split()[:2], [str(told["id"]), str(os.getpid())])

    async def test_kick(self) -> None:
        """One of them is dropped, and the others are not."""
        await self.start()
        kicked, stays = self.client(), self.client()
        await deferToThread(kicked.request, b"x")
        _, output = await self.cli("clients", "kv", "--json")
        first = str(min(each["id"] for each in json.loads(output)))
        done = await self.cli("kick", "kv", first)
        self.assertEqual(done, (0, f"kv: client {first} is dropped\n"))
        await self.assertFailure(deferToThread(kicked.receive), Disconnected)
        self.assertEqual(await deferToThread(stays.request, b"xy"), b"yx")
        while (await self.unit("kv"))["details"]["clients"] != 1:
            await pause(0.02)
        status, output = await self.cli("kick", "kv", first)
        self.assertNotEqual(status, 0)
        self.assertIn(first, output)


COUNTED = ("frames_in", "frames_out", "bytes_in", "in_flight")
