"""The message queue of one web client, with a limit.

Of every topic only the two newest messages wait; older ones are dropped and counted. The hub never
waits.
"""

import asyncio
from collections import OrderedDict, deque

from websockets.asyncio.server import ServerConnection

_WAITING = 2
_BEHIND_S = 5.0
"""A client that receives nothing for so long is disconnected; a guess, not measured."""


class Client:
    """A connected client with its short queue; lives in the server's event loop."""

    def __init__(self, connection: ServerConnection, *, live: bool, smooth: bool) -> None:
        self.live = live
        self.smooth = smooth
        self.dropped = 0
        self.ignored = 0  # unknown commands
        self._connection = connection
        self._waiting: OrderedDict[str, deque[str | bytes]] = OrderedDict()
        self._pending = asyncio.Event()

    def queue(self, topic: str, message: str | bytes) -> int:
        """Queue a message behind at most one older one of its topic; returns how many it replaced.

        Never waits. Call it in the server's event loop.
        """
        waiting = self._waiting.setdefault(topic, deque())
        dropped = max(0, len(waiting) + 1 - _WAITING)
        for _ in range(dropped):
            waiting.popleft()
        waiting.append(message)
        self._pending.set()
        self.dropped += dropped
        return dropped

    async def send_all(self) -> None:
        """Send what waits, topics in turn, for as long as the connection lasts.

        If the client takes nothing for 5 s, it is disconnected and the method returns. When the
        connection ends, ConnectionClosed is raised.
        """
        while True:
            await self._pending.wait()
            while self._waiting:
                topic, queue = self._waiting.popitem(last=False)
                message = queue.popleft()
                if queue:
                    self._waiting[topic] = queue
                try:
                    async with asyncio.timeout(_BEHIND_S):
                        await self._connection.send(message)
                except TimeoutError:
                    self._connection.transport.abort()
                    return
            self._pending.clear()
