"""One web client: what waits to be sent to it, and how it is let go when it does not keep up.

Of every topic only the two newest messages wait; an older one is dropped and counted, the hub
never waits.
"""

import asyncio
from collections import OrderedDict, deque

from websockets.asyncio.server import ServerConnection

_WAITING = 2
_BEHIND_S = 5.0


class Viewer:
    """A connected client with its short queue; lives in the server's event loop."""

    def __init__(self, connection: ServerConnection, *, live: bool, smooth: bool) -> None:
        self.live = live
        self.smooth = smooth
        self.dropped = 0
        self.ignored = 0  # messages from it that mean nothing
        self._connection = connection
        self._waiting: OrderedDict[str, deque[str | bytes]] = OrderedDict()
        self._news = asyncio.Event()

    def tell(self, topic: str, message: str | bytes) -> int:
        """Queue the message behind at most one older of its topic; how many were dropped for it."""
        queue = self._waiting.setdefault(topic, deque())
        dropped = max(0, len(queue) + 1 - _WAITING)
        for _ in range(dropped):
            queue.popleft()
        queue.append(message)
        self._news.set()
        self.dropped += dropped
        return dropped

    async def send_all(self) -> None:
        """Send what waits, topics in turn, until the connection ends or stands still too long."""
        while True:
            await self._news.wait()
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
            self._news.clear()
