"""No local port left towards an endpoint: those beyond are told at once, the endpoint is not blamed, and it passes."""
import threading

from support.faults import OK, Answer, FaultTest, get, receive_all, told

PORTS = 20
CLIENTS = 50
#: The clients' own ports, outside the range that is used up.
SOURCE = ("127.0.0.1", 21000)


class PortsUsedUp(FaultTest):
    # Pools are per worker: one has all connections to the endpoint, and so whoever asks again finds one.
    settings = {**FaultTest.settings, "proxy": {"workers": 1}}

    def setUp(self):
        self.before = self.port_range()
        self.addCleanup(self.set_port_range, self.before)
        self.arrived = threading.Semaphore(0)
        self.go = threading.Event()
        self.addCleanup(self.go.set)

    def port_range(self):
        return self.host.sandbox.run(["cat", "/proc/sys/net/ipv4/ip_local_port_range"]).stdout.split()

    def set_port_range(self, ends):
        self.host.sandbox.run(["sh", "-c", f"echo {ends[0]} {ends[1]} > /proc/sys/net/ipv4/ip_local_port_range"])

    def holding(self, connection):
        """Answers when the test says so."""
        data = connection.recv(65536)
        self.arrived.release()
        self.go.wait(60)
        if data.startswith(b"GET"):
            connection.sendall(OK)
            self.ok(connection)
        else:
            connection.sendall(data)
            connection.recv(1)

    def test_http(self):
        self.service("ports", [self.server(self.holding)], protocol="http")
        self.set_port_range((20000, 20000 + PORTS - 1))
        clients = self.connect_all("ports", CLIENTS, source=SOURCE)
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(PORTS):
            self.assertTrue(self.arrived.acquire(timeout=20))
        refused = told(clients, CLIENTS - PORTS)
        for client in refused:
            answer = Answer(client)
            self.assertEqual(answer.status, 503)
            self.assertIn(b"port", answer.body)
        self.go.set()
        for client in clients:
            if client not in refused:
                self.assertEqual(Answer(client).status, 200)
        for client in clients:  # refused ones too, over the same connections
            self.assertEqual(get(client).status, 200)
        self.set_port_range(self.before)
        self.assertEqual(self.host.metric("causeway_connections_failed_total", discovery_name="ports", reason="limit"), len(refused))
        self.assertEqual(self.host.metric("causeway_ejections_total", discovery_name="ports"), 0)

    def test_tcp(self):
        self.service("tcp-ports", [self.server(self.holding)])
        self.set_port_range((20000, 20000 + PORTS - 1))
        clients = self.connect_all("tcp-ports", CLIENTS, source=(SOURCE[0], SOURCE[1] + CLIENTS))
        for client in clients:
            client.sendall(b"\0held")
        for _ in range(PORTS):
            self.assertTrue(self.arrived.acquire(timeout=20))
        refused = told(clients, CLIENTS - PORTS)
        for client in refused:
            self.assertEqual(receive_all(client), (b"", False))  # RST: nothing was carried
        self.go.set()
        for client in clients:
            if client not in refused:
                self.assertEqual(client.recv(5), b"\0held")
        self.set_port_range(self.before)
        self.assertEqual(self.host.metric("causeway_ejections_total", discovery_name="tcp-ports"), 0)
