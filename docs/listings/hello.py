from sockhost.interfaces import IClient, IUnitHost


class Hello:
    def __init__(self, host: IUnitHost) -> None:
        self.store = host.use("store")

    async def received(self, client: IClient, frame: bytes) -> bytes:
        times = await self.store.execute("incr", frame)
        return b"hello %s, for the %dth time" % (frame, times)
