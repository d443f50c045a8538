"""A WebSocket client with a certificate and a token, as the websockets package has it.

    TOKEN=… python3 websocket_client.py SCENARIO PORT CA.pem CLIENT.pem CLIENT.key

Prints what came of the scenario, as one line of JSON.
"""

import asyncio
import json
import os
import ssl
import sys

# Not its client on threads: over TLS 1.3 that one at times hangs in its handshake, with its own server too.
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

scenario, port, ca, certificate, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(certificate, key)


def open_socket():
    return connect(
        f"wss://localhost:{port}/chat?room=1",
        ssl=context,
        open_timeout=60,
        max_size=None,
        subprotocols=["chat.v1"],
        additional_headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
    )


async def talk():
    """Both ways: text, 8 MiB in one message and in fragments, pings of both sides, and a close with a reason."""
    large = bytes(range(256)) * (32 << 10)
    async with open_socket() as socket:
        await socket.send("hello")
        text = await socket.recv()
        await socket.send(large)
        whole = await socket.recv() == large
        await socket.send(large[at : at + 65536] for at in range(0, len(large), 65536))
        fragments = await socket.recv() == large
        await asyncio.wait_for(await socket.ping(b"client"), 60)
        await socket.send("ping")
        ponged = await socket.recv()
        await socket.close(1000, "bye")
        return {
            "protocol": socket.subprotocol,
            "text": text,
            "large": [whole, fragments],
            "ponged": ponged,
            "closed": [socket.close_code, socket.close_reason],
        }


async def closed_by_server():
    async with open_socket() as socket:
        await socket.send("close")
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            return [closed.rcvd.code, closed.rcvd.reason]


async def leave():
    """Without a word: the test sees what the server makes of it."""
    async with open_socket() as socket:
        await socket.send("hello")
        await socket.recv()
        print('"left"', flush=True)
        os._exit(0)


async def refused():
    try:
        async with open_socket():
            return None
    except InvalidStatus as error:
        answer = error.response
        return {
            "status": answer.status_code,
            "challenge": answer.headers["WWW-Authenticate"],
            "reason": json.loads(answer.body)["reason"],
        }


SCENARIOS = {f.__name__: f for f in (talk, closed_by_server, leave, refused)}
print(json.dumps(asyncio.run(SCENARIOS[scenario]())), flush=True)
