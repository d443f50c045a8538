"""A gRPC client with a certificate and a token.

    TOKEN=… python3 grpc_client.py SCENARIO PORT CA.pem CLIENT.pem CLIENT.key

Prints what came of the scenario, as one line of JSON.
"""

import json
import os
import sys
import threading
import time

import grpc

scenario, port, *files = sys.argv[1:]
ca, certificate, key = (open(name, "rb").read() for name in files)
token = os.environ["TOKEN"]
METADATA = [("authorization", f"Bearer {token}")] if token else []
PATIENCE = 60

channel = grpc.secure_channel(
    f"127.0.0.1:{port}",
    grpc.ssl_channel_credentials(ca, key, certificate),
    options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
)
unary = channel.unary_unary("/test.Calls/Unary")
down = channel.unary_stream("/test.Calls/Down")
up = channel.stream_unary("/test.Calls/Up")
both = channel.stream_stream("/test.Calls/Both")
wait = channel.unary_unary("/test.Calls/Wait")
fail = channel.unary_unary("/test.Calls/Fail")
endless = channel.unary_stream("/test.Calls/Endless")

OPTIONS = {"metadata": METADATA, "timeout": PATIENCE}


def status(error):
    trailing = {k: v if isinstance(v, str) else list(v) for k, v in error.trailing_metadata() or ()}
    initial = {k: v for k, v in error.initial_metadata() or ()}
    return {"code": error.code().value[0], "details": error.details(), "metadata": {**initial, **trailing}}


def outcome(call):
    """The status of a call that has to fail."""
    try:
        answer = call()
        answer if isinstance(answer, bytes) else list(answer)
    except grpc.RpcError as error:
        return status(error)
    return {"code": 0}


def calls():
    """All four kinds, each message of the last one only after the answer to the one before."""
    metadata = METADATA + [("x-text", "a b"), ("x-data-bin", bytes([0, 255, 10]))]
    shown, call = unary.with_call(b"show", metadata=metadata, timeout=PATIENCE)
    answered = threading.Semaphore(1)

    def talk():
        for word in (b"one", b"two", b"three"):
            assert answered.acquire(timeout=PATIENCE)
            yield word

    heard = []
    for word in both(talk(), **OPTIONS):
        heard.append(word.decode())
        answered.release()
    return {
        "unary": json.loads(shown),
        "initial": dict(call.initial_metadata())["x-initial"],
        "trailing": {k: v if isinstance(v, str) else list(v) for k, v in call.trailing_metadata()},
        "down": [len(message) for message in down(b"[3, 5]", **OPTIONS)],
        "nothing": list(down(b"[0, 0]", **OPTIONS)),
        "up": json.loads(up(iter([b"a", b"bc", b""]), **OPTIONS)),
        "both": heard,
    }


def failures():
    """A status of the server's own, and a method that it does not have."""
    unknown = channel.unary_unary("/test.Calls/Unknown")
    return [outcome(lambda: call(b"", **OPTIONS)) for call in (fail, unknown)]


def every_kind():
    """What each of the four kinds ends with, where none may pass."""
    return [
        outcome(lambda: unary(b"", **OPTIONS)),
        outcome(lambda: down(b"[1, 1]", **OPTIONS)),
        outcome(lambda: up(iter([b"a", b"b"]), **OPTIONS)),
        outcome(lambda: both(iter([b"a", b"b"]), **OPTIONS)),
    ]


def cancellations():
    """A call whose deadline passes, one that is cancelled while it waits, and one that is cancelled while it reads."""
    late = outcome(lambda: wait(b"deadline", metadata=METADATA, timeout=2))
    waiting = wait.future(b"waiting", **OPTIONS)
    threading.Timer(2, waiting.cancel).start()
    try:
        waiting.result()
        given_up = None
    except (grpc.FutureCancelledError, grpc.RpcError):
        given_up = waiting.code().value[0]
    reading = endless(b"reading", **OPTIONS)
    next(reading)
    reading.cancel()
    return [late["code"], given_up, outcome(lambda: reading)["code"]]


def large():
    """A message of 8 MiB there and back, and 64 MiB down to a client that begins to read late, and up in small pieces."""
    message = bytes(range(256)) * (32 << 10)
    echoed = unary(message, **OPTIONS) == message
    stream = down(b"[256, 262144]", **OPTIONS)
    next(stream)
    time.sleep(1)  # nothing tells how much the others hold meanwhile but their memory
    received = 262144 + sum(len(message) for message in stream)
    sent = json.loads(up((b"x" * 65536 for _ in range(1024)), **OPTIONS))
    return {"echoed": echoed, "received": received, "sent": sent}


def broken():
    """A stream whose server ends in the middle: the test ends it when it reads "reading"."""
    stream = endless(b"", **OPTIONS)
    next(stream)
    print('"reading"', flush=True)
    return outcome(lambda: stream)["code"]


SCENARIOS = {f.__name__: f for f in (calls, failures, every_kind, cancellations, large, broken)}
print(json.dumps(SCENARIOS[scenario]()), flush=True)
