"""One web client's queue, over a real connection."""

import asyncio

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from runtime.streaming.client_queue import Client


def test_of_every_topic_the_two_newest_messages_are_sent_topics_in_turn() -> None:
    told: list[int] = []

    async def serve_one(connection: ServerConnection) -> None:
        client = Client(connection, live=False, smooth=False)
        for n in range(5):
            told.append(client.queue("skeleton", f"skeleton {n}"))
        told.append(client.queue("stats", "stats 0"))
        told.append(client.dropped)
        sending = asyncio.create_task(client.send_all())
        await connection.wait_closed()
        sending.cancel()

    async def talk() -> list[str | bytes]:
        async with serve(serve_one, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}/") as client, asyncio.timeout(10):
                return [await client.recv() for _ in range(3)]

    heard = asyncio.run(talk())
    assert heard == ["skeleton 3", "stats 0", "skeleton 4"]
    assert told == [0, 0, 1, 1, 1, 0, 3]
