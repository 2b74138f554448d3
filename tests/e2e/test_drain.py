"""Endpoints that leave and an agent that stops: what is under way goes on for the drain time, and nothing new begins there."""
import errno
import queue
import select
import signal
import threading
import time

from support.faults import Answer, FaultTest, get, read_exactly, read_request, receive_all
from support.sandbox import wait_until

DRAIN = 6


class DrainTest(FaultTest):
    settings = {"proxy": {"drain_seconds": DRAIN}, "defaults": {"drain_timeout": f"{DRAIN}s"}}

    def named(self, name, connections=None):
        """A server that answers with its name, and /held when `go` is set; `connections` gets an event for each, set
        when it has ended."""
        def behave(connection):
            ended = threading.Event()
            if connections is not None:
                connections.append(ended)
            try:
                request, rest = read_request(connection)
                while request is not None:
                    if b"/held" in request:
                        self.arrived.put(name)
                        self.go.wait(60)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))
                    request, rest = read_request(connection, rest)
            finally:
                ended.set()
        return self.server(behave)

    @staticmethod
    def echo(connection):
        while data := connection.recv(65536):
            connection.sendall(data)

    @staticmethod
    def tunnel(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        DrainTest.echo(connection)

    def setUp(self):
        self.arrived, self.go = queue.Queue(), threading.Event()
        self.addCleanup(self.go.set)

    def upgraded(self, name):
        client = self.connect(name)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += client.recv(65536)
        self.assertTrue(data.startswith(b"HTTP/1.1 101"), data)
        return client

    def assert_echoes(self, client):
        client.sendall(b"\0here?")
        self.assertEqual(read_exactly(client, 6), b"\0here?")

    def assert_lasts_for_the_drain_time(self, clients, begun):
        for client in clients:
            self.assertEqual(receive_all(client), (b"", False))  # RST: nobody takes it for a regular end
        took = time.monotonic() - begun
        self.assertGreater(took, DRAIN - 0.1)
        self.assertLess(took, DRAIN + 5)


class EndpointLeaves(DrainTest):
    def test_requests_in_flight_finish_and_pooled_connections_end(self):
        connections = []
        self.service("http", [self.named(b"leaving", connections), self.named(b"staying")], protocol="http")
        client = self.connect("http")
        self.assertEqual({get(client).body for _ in range(4)}, {b"leaving", b"staying"})  # both have a pooled connection
        held, at = [], set()
        while len(at) < 2:  # each worker of the proxy takes turns for itself
            held.append(self.connect("http"))
            held[-1].sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            at.add(self.arrived.get(timeout=20))
        self.deregister("http", 0)
        self.assertEqual({get(client).body for _ in range(10)}, {b"staying"})
        self.go.set()
        answers = [Answer(each) for each in held]
        self.assertEqual({answer.body for answer in answers}, {b"leaving", b"staying"})
        self.assertEqual({answer.headers["connection"] for answer in answers}, {None})  # the clients' own connections stay
        for each in held:
            self.assertEqual(get(each).body, b"staying")
        self.assertTrue(connections)
        for ended in connections:  # pooled ones, and the one that was under way
            self.assertTrue(ended.wait(5), "a connection to the endpoint that left is still open")

    def test_tcp_connections_and_tunnels_last_for_the_drain_time(self):
        self.service("tcp", [self.server(self.echo)])
        self.service("tunnel", [self.server(self.tunnel)])
        clients = [self.connect("tcp"), self.upgraded("tunnel")]
        for client in clients:
            self.assert_echoes(client)
        begun = time.monotonic()
        for name in ("tcp", "tunnel"):
            self.deregister(name, 0)
        for client in clients:
            self.assert_echoes(client)
        self.assert_lasts_for_the_drain_time(clients, begun)


class AgentStops(DrainTest):
    def test_what_is_under_way_goes_on(self):
        self.service("http", [self.named(b"one")], protocol="http")
        self.service("tcp", [self.server(self.echo)])
        idle, busy, tcp = self.connect("http"), self.connect("http"), self.connect("tcp")
        self.assertEqual(get(idle).body, b"one")
        self.assert_echoes(tcp)
        busy.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        self.arrived.get(timeout=20)
        address = self.host.sandbox.run(["dig", "+short", "http"]).stdout.strip()
        begun = time.monotonic()
        self.host.agent.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.can_dial(address), 5, "new dials are no longer taken")
        self.assertLess(time.monotonic() - begun, DRAIN)
        self.assert_echoes(tcp)
        self.go.set()
        answer = Answer(busy)
        self.assertEqual((answer.body, answer.headers["connection"]), (b"one", "close"))
        self.assertEqual(select.select([idle, tcp], [], [], 20)[0], [idle])  # before the drain time is over
        self.assertEqual(receive_all(idle), (b"", True))  # ended, regularly
        self.assert_lasts_for_the_drain_time([tcp], begun)
        self.assertEqual(self.host.agent.wait(10), 0)
        self.host.stop()

    def can_dial(self, address):
        """A refusal must come at once: nobody waits for an agent that stops."""
        try:
            connection = self.dialer.dial(address)[0]
        except ConnectionError as refused:
            self.assertIn(f"[Errno {errno.ECONNREFUSED}]", str(refused))
            return False
        connection.close()
        return True

    def tearDown(self):
        pass  # the agent is gone
