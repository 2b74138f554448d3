"""Many AWS API calls over kept connections, several at a time: one by one they would take hours."""
import json
import re
import selectors
import socket

from causeway_host import API
from support import sigv4

IN_FLIGHT = 50
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Connection:
    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self.call = None

    def ask(self, call, request):
        self.call = call
        self.socket.sendall(request)

    def answer(self):
        """Status and body once all of it is there, else None."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise AssertionError(f"the API closed the connection amid {self.call}")
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = int(_LENGTH.search(head)[1]) if found else 0
        if not found or len(body) < length:
            return None
        self._received = body[length:]
        return int(head.split(b" ", 2)[1]), json.loads(body[:length])


class QuickApi:
    def __init__(self, host):
        self._credentials = host.credentials
        with host.sandbox.inside():
            self._connections = [_Connection(API) for _ in range(IN_FLIGHT)]

    def _request(self, service, operation, parameters):
        body = json.dumps(parameters).encode()
        headers = sigv4.signed_headers(service, operation, body, host=f"{API[0]}:{API[1]}", **self._credentials)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body

    def call(self, service, operation, /, **parameters):
        return next(self.all([(service, operation, parameters)]))

    def all(self, calls):
        """Makes the calls (service, operation, parameters) in this order, IN_FLIGHT at once; yields the answers as they come."""
        calls = iter(calls)
        with selectors.DefaultSelector() as selector:
            def next_on(connection):
                call = next(calls, None)
                if call is None:
                    return False
                connection.ask(call, self._request(*call))
                return True

            for connection in self._connections:
                if not next_on(connection):
                    break
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            while selector.get_map():
                for key, _ in selector.select():
                    got = key.data.answer()
                    if got is None:
                        continue
                    status, answer = got
                    if status != 200:
                        raise sigv4.ApiError(status, answer)
                    yield answer
                    if not next_on(key.data):
                        selector.unregister(key.fileobj)

    def close(self):
        for connection in self._connections:
            connection.socket.close()
