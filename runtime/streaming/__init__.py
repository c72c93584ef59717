"""Skeletons and statistics to clients, and the hub's page.

In: skeletons, statistics and camera pictures. Out: ZeroMQ and WebSocket messages, HTTP responses.
A slow client loses messages; it never delays the hub.
Read `zmq_publisher.py` first, then `web_server.py`; docs/protocol.md has the messages.
"""
