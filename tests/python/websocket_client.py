"""A WebSocket client with a certificate and a token, as the websockets package has it.

    TOKEN=… python3 websocket_client.py SCENARIO PORT CA.pem CLIENT.pem CLIENT.key

Prints what came of the scenario, as one line of JSON.
"""

import json
import os
import ssl
import sys

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

scenario, port, ca, certificate, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(certificate, key)


def open_socket():
    return connect(
        f"wss://localhost:{port}/chat?room=1",
        ssl=context,
        max_size=None,
        subprotocols=["chat.v1"],
        additional_headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
    )


def talk():
    """Both ways: text, 8 MiB in one message and in fragments, pings of both sides, and a close with a reason."""
    large = bytes(range(256)) * (32 << 10)
    with open_socket() as socket:
        socket.send("hello")
        text = socket.recv()
        socket.send(large)
        whole = socket.recv() == large
        socket.send(large[at : at + 65536] for at in range(0, len(large), 65536))
        fragments = socket.recv() == large
        pong = socket.ping(b"client").wait(60)
        socket.send("ping")
        ponged = socket.recv()
        socket.close(1000, "bye")
        return {
            "protocol": socket.subprotocol,
            "text": text,
            "large": [whole, fragments],
            "pings": [pong, ponged],
            "closed": [socket.close_code, socket.close_reason],
        }


def closed_by_server():
    with open_socket() as socket:
        socket.send("close")
        try:
            socket.recv()
        except ConnectionClosed as closed:
            return [closed.rcvd.code, closed.rcvd.reason]


def leave():
    """Without a word: the test sees what the server makes of it."""
    socket = open_socket()
    socket.send("hello")
    socket.recv()
    print('"left"', flush=True)
    os._exit(0)


def refused():
    try:
        open_socket()
    except InvalidStatus as error:
        answer = error.response
        return {
            "status": answer.status_code,
            "challenge": answer.headers["WWW-Authenticate"],
            "reason": json.loads(answer.body)["reason"],
        }


SCENARIOS = {f.__name__: f for f in (talk, closed_by_server, leave, refused)}
print(json.dumps(SCENARIOS[scenario]()), flush=True)
