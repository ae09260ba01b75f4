"""
The handler of the quickstart: a few commands of a key-value store, one frame
of text each, on a framed Unix socket.
"""

from __future__ import annotations

from sockhost.interfaces import IClient, IRedis, IUnitHost, RedisError

#: How many words each command takes, the command itself among them.
WORDS = {b"set": 3, b"get": 2, b"del": 2, b"incr": 2}


class KeyValue:
    """
    Answers C{set KEY VALUE}, C{get KEY}, C{del KEY} and C{incr KEY}; with a
    frame that starts with C{error: } where it cannot.
    """

    def __init__(self, host: IUnitHost) -> None:
        self.store: IRedis = host.use("store")

    async def received(self, client: IClient, frame: bytes) -> bytes:
        """Answer one command.  What was answered C{ok} is on disk."""
        command, *words = frame.split(maxsplit=2) or [b""]
        if WORDS.get(command) != 1 + len(words):
            return b"error: expected set KEY VALUE, get KEY, del KEY or incr KEY"
        try:
            reply = await self.store.execute(command, *words)
        except RedisError as error:
            return b"error: " + str(error).encode()
        return answer(reply)


def answer(reply: object) -> bytes:
    """Turn a reply of the store into the text of a frame."""
    if reply is None:
        return b"error: no such key"
    text = reply if isinstance(reply, bytes) else str(reply).encode()
    return b"ok" if text == b"OK" else text
