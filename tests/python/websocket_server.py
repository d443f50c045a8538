"""A WebSocket server, as the websockets package has it. It sends back what it gets, and does what some words ask for.

Prints its port, then a line of JSON when a connection has ended. Ends when its standard input does.
"""

import json
import sys
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve


SPEAKING = threading.Lock()


def say(**words):
    with SPEAKING:  # print alone would let another thread's line in before the end of this one
        print(json.dumps(words), flush=True)


def talk(socket):
    say(opened=socket.request.path)
    try:
        for message in socket:
            if message == "close":
                socket.close(4001, "my own")
            elif message == "ping":
                socket.ping(b"still there?").wait()
                socket.send("ponged")
            else:
                socket.send(message)
    except ConnectionClosed:
        pass
    say(closed=socket.close_code, reason=socket.close_reason)


with serve(talk, "127.0.0.1", 0, max_size=None, subprotocols=["chat.v1"]) as server:
    print(server.socket.getsockname()[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
