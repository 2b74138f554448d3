"""Whoever stops reading stops the other side's sending: the proxy's memory stays bounded, and nothing is lost."""
import select
import socket
import threading

from support.faults import FaultTest, read_request

TOTAL = 192 << 20
CHUNK = bytes(1 << 20)
#: Both sockets' buffers of both connections; the kernel's own limits for them are 4 and 6 MiB each.
IN_THE_KERNEL = 40 << 20
REQUESTS = {"http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "tcp": b"\0no HTTP\r\n\r\n"}
UPLOADS = {"http": b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % TOTAL, "tcp": b"\0no HTTP\r\n\r\n"}


def send_until_stuck(connection, total):
    """Bytes taken until nobody took any for a second, or all of them."""
    connection.setblocking(False)
    sent = 0
    while sent < total and select.select([], [connection], [], 1)[1]:
        sent += connection.send(memoryview(CHUNK)[:total - sent])
    return sent


def send_rest(connection, count):
    connection.setblocking(True)
    while count:
        count -= connection.send(memoryview(CHUNK)[:count])


def receive(connection, count):
    while count:
        data = connection.recv(min(count, 1 << 20))
        if not data:
            raise AssertionError(f"ended {count} bytes early")
        count -= len(data)


class Stuck:
    """What the endpoint's side of a test tells it."""

    def __init__(self):
        self.go = threading.Event()
        self.stuck = threading.Event()
        self.sent = 0


class BackPressure(FaultTest):
    settings = {"defaults": {**FaultTest.settings["defaults"], "per_request_timeout": "off"}}

    def test_client_that_stops_reading(self):
        for name, request in REQUESTS.items():
            with self.subTest(name):
                state = Stuck()

                def behave(connection, state=state):
                    read_request(connection)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL)
                    state.sent = send_until_stuck(connection, TOTAL)
                    state.stuck.set()
                    state.go.wait(60)
                    send_rest(connection, TOTAL - state.sent)

                self.service(f"{name}-down", [self.server(behave)])
                client = self.connect(f"{name}-down")
                before = self.proxy_pss()
                client.sendall(request)
                self.assertTrue(state.stuck.wait(60))
                self.assertLess(state.sent, IN_THE_KERNEL)
                self.assertLess(self.proxy_pss() - before, 2048)
                state.go.set()
                head = client.recv(4096, socket.MSG_PEEK)
                receive(client, head.index(b"\r\n\r\n") + 4 + TOTAL)

    def test_endpoint_that_stops_reading(self):
        for name, request in REQUESTS.items():
            with self.subTest(name):
                state = Stuck()
                whole = threading.Event()

                def behave(connection, state=state, whole=whole):
                    head = connection.recv(4096, socket.MSG_PEEK)
                    state.go.wait(60)
                    receive(connection, head.index(b"\r\n\r\n") + 4 + TOTAL)
                    whole.set()
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    connection.recv(1)

                self.service(f"{name}-up", [self.server(behave)])
                client = self.connect(f"{name}-up")
                before = self.proxy_pss()
                client.sendall(UPLOADS[name])
                sent = send_until_stuck(client, TOTAL)
                self.assertLess(sent, IN_THE_KERNEL)
                self.assertLess(self.proxy_pss() - before, 2048)
                state.go.set()
                client.settimeout(30)
                client.setblocking(True)
                send_rest(client, TOTAL - sent)
                self.assertTrue(whole.wait(30))
                self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200"))

    def test_many_that_stop_reading(self):
        clients_count = 100
        stuck, go = threading.Semaphore(0), threading.Event()

        def behave(connection):
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOTAL)
            send_until_stuck(connection, TOTAL)
            stuck.release()
            go.wait(60)

        self.addCleanup(go.set)
        self.service("many", [self.server(behave)], protocol="http")
        clients = self.connect_all("many", clients_count)
        for client in clients:
            # A small window: what counts is the proxy's memory, not the kernel's.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        before = self.proxy_pss()
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in clients:
            self.assertTrue(stuck.acquire(timeout=60))
        per_client = (self.proxy_pss() - before) / clients_count
        self.assertLess(per_client, 80, "KiB a client that does not read")
        go.set()
        for client in clients:
            client.close()
        self.wait_no_connection("many")
