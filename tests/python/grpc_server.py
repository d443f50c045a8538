"""A gRPC server without TLS, as its authors wrote it: messages are bytes, so that no schema is needed.

Prints its port, then a line of JSON for each call that ends before its time. Ends when its standard input does.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc


SPEAKING = threading.Lock()


def say(**words):
    with SPEAKING:  # print alone would let another thread's line in before the end of this one
        print(json.dumps(words), flush=True)


def show(context):
    """What the metadata of a call must be: a token is not repeated, only that there is one."""
    metadata = {key: value for key, value in context.invocation_metadata()}
    kept = {key: metadata[key] for key in ("x-forwarded-proto", "x-text") if key in metadata}
    return {**kept, "token": "authorization" in metadata, "binary": list(metadata.get("x-data-bin", b""))}


def unary(request, context):
    context.send_initial_metadata([("x-initial", "first")])
    context.set_trailing_metadata([("x-trailing", "last"), ("x-data-bin", bytes([0, 255, 10]))])
    return json.dumps(show(context)).encode() if request == b"show" else request


def down(request, context):
    count, size = json.loads(request)
    for index in range(count):
        yield bytes([index % 251]) * size


def up(requests, context):
    lengths = [len(request) for request in requests]
    return json.dumps([len(lengths), sum(lengths)]).encode()


def both(requests, context):
    for request in requests:
        yield request


def fail(request, context):
    context.set_trailing_metadata([("x-trailing", "last")])
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no: ünder 100%\n")


def wait(request, context):
    over = threading.Event()
    context.add_callback(over.set)
    say(began=request.decode())
    over.wait()
    say(cancelled=request.decode())
    return b""


def endless(request, context):
    context.add_callback(lambda: say(cancelled=request.decode()))
    while context.is_active():
        yield b"x" * 1024


HANDLERS = {
    "/test.Calls/Unary": grpc.unary_unary_rpc_method_handler(unary),
    "/test.Calls/Down": grpc.unary_stream_rpc_method_handler(down),
    "/test.Calls/Up": grpc.stream_unary_rpc_method_handler(up),
    "/test.Calls/Both": grpc.stream_stream_rpc_method_handler(both),
    "/test.Calls/Fail": grpc.unary_unary_rpc_method_handler(fail),
    "/test.Calls/Wait": grpc.unary_unary_rpc_method_handler(wait),
    "/test.Calls/Endless": grpc.unary_stream_rpc_method_handler(endless),
}


class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        return HANDLERS.get(details.method)


UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

server = grpc.server(ThreadPoolExecutor(16), handlers=[Calls()], options=UNBOUNDED)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(None)
