"""Clients that send and read a byte now and then: they get their time and no more, and nobody waits for them."""
import selectors
import threading
import time

from support.faults import OK, Answer, FaultTest, get, read_request, receive_all

SLOW = 500
HEAD_SECONDS = 5
HEAD = b"GET / HTTP/1.1\r\nHost: slow\r\nX-Padding: " + b"a" * 1000


class Dripping:
    """Sends every connection's next byte in turn, about one a second for each, until it is stopped or answered."""

    def __init__(self, connections, message):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(connections, message))
        self.longest_pause = 0.0
        self._thread.start()

    def _run(self, connections, message):
        alive = list(connections)
        for byte in range(len(message)):
            begun = time.monotonic()
            for connection in list(alive):
                try:
                    connection.send(message[byte:byte + 1])
                except OSError:
                    alive.remove(connection)
            if not alive or self._stop.wait(max(0.0, begun + 1 - time.monotonic())):
                return
            self.longest_pause = max(self.longest_pause, time.monotonic() - begun)

    def stop(self):
        self._stop.set()
        self._thread.join()


class SlowClients(FaultTest):
    settings = {"limits": {"header_seconds": HEAD_SECONDS}, "defaults": {"per_request_timeout": "off"}}

    def test_a_byte_a_second_beside_a_quick_one(self):
        self.service("slow", [self.server(self.ok)], protocol="http")
        quick = self.connect("slow")
        get(quick)
        clients = self.connect_all("slow", SLOW)
        # The first bytes at once, and each then goes on: progress does not prolong a head's time.
        begun = time.monotonic()
        for client in clients:
            client.sendall(HEAD[:20])
        dripping = Dripping(clients, HEAD[20:])
        self.addCleanup(dripping.stop)
        times = []
        with selectors.DefaultSelector() as answers:
            for client in clients:
                answers.register(client, selectors.EVENT_READ)
            while not answers.select(0.02):
                start = time.monotonic()
                self.assertEqual(get(quick).status, 200)
                times.append(time.monotonic() - start)
                self.assertLess(time.monotonic() - begun, HEAD_SECONDS + 10, "no slow client was ever answered")
        took = time.monotonic() - begun
        self.assertGreater(took, HEAD_SECONDS - 0.1)
        times.sort()
        self.assertLess(times[len(times) * 99 // 100], 1, "p99 of the quick client, seconds: not held up by those")
        for client in clients:
            self.assertEqual(Answer(client).status, 408)
        self.assertLess(time.monotonic() - begun, HEAD_SECONDS + 10)
        dripping.stop()
        for client in clients:
            client.close()
        self.wait_connected("slow", 1)
        self.assertEqual(self.host.metric("causeway_requests_total", discovery_name="slow", code="4xx"), SLOW)
        self.assertEqual(self.host.metric("causeway_limits_exceeded_total", discovery_name="slow", limit="header_time"), SLOW)

    def test_slow_bodies_hold_no_endpoint_back(self):
        # Each slow body has a connection to the endpoint; the quick client gets another.
        arrived = threading.Semaphore(0)

        def behave(connection):
            request, rest = b"", b""
            data = connection.recv(65536)
            if data.startswith(b"POST"):
                arrived.release()
                request, rest = read_request(connection, data)
            else:
                request, rest = data, b""
            while request is not None:
                connection.sendall(OK)
                request, rest = read_request(connection, rest)

        self.service("bodies", [self.server(behave)], protocol="http")
        quick = self.connect("bodies")
        clients = self.connect_all("bodies", 200)
        for client in clients:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n")
        for _ in clients:
            self.assertTrue(arrived.acquire(timeout=20))  # a head goes on without waiting for its body
        for byte in range(20):
            for client in clients:
                client.sendall(b"%d" % (byte % 10))
            self.assertEqual(get(quick).status, 200)
        self.assertEqual({Answer(client).status for client in clients}, {200})

    def test_slow_readers_hold_nobody_back(self):
        size = 4 << 20

        def behave(connection):
            request, rest = read_request(connection)
            while request is not None:
                if b"/large" in request:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
                else:
                    connection.sendall(OK)
                request, rest = read_request(connection, rest)

        self.service("readers", [self.server(behave)], protocol="http")
        quick = self.connect("readers")
        clients = self.connect_all("readers", 20)
        for client in clients:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for _ in range(17):  # less than the head: what follows begins with the rest of it
            for client in clients:
                self.assertEqual(len(client.recv(1)), 1)
            self.assertEqual(get(quick).status, 200)
        for client in clients:
            rest, regular = receive_all(client)
            self.assertTrue(regular)
            self.assertEqual(len(rest.partition(b"\r\n\r\n")[2]), size)
