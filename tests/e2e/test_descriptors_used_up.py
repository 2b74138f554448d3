"""File descriptors used up: those connected are served, those beyond are told at once, idle ones make room, it passes."""
import contextlib
import http.client
import select
import subprocess
import threading

from support.faults import OK, Answer, FaultTest, get, receive_all, told
from support.sandbox import wait_until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Holding:
    """An endpoint whose answers wait for the test."""

    def __init__(self, test):
        self.arrived = threading.Semaphore(0)
        self.go = threading.Event()
        test.addCleanup(self.go.set)

    def behave(self, connection):
        while connection.recv(65536):
            self.arrived.release()
            self.go.wait(60)
            connection.sendall(OK)


class DescriptorsTest(FaultTest):
    @staticmethod
    def ask(clients):
        for client in clients:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # refused already
                client.sendall(GET)

    def statuses(self, name, count):
        """Of a request over each of that many new connections; 0: reset."""
        found = set()
        for client in self.connect_all(name, count):
            try:
                found.add(get(client).status)
            except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
                found.add(0)
            client.close()
        return found

    def assert_refused(self, clients):
        for client in clients:
            try:
                data = client.recv(65536)
            except ConnectionResetError:
                continue
            self.assertTrue(data == b"" or data.startswith(b"HTTP/1.1 503"), data[:100])

    @staticmethod
    def status(client):
        """0: reset."""
        try:
            return Answer(client).status
        except (ConnectionResetError, http.client.RemoteDisconnected):
            return 0

    def assert_served(self, clients, at_least):
        statuses = [self.status(client) for client in clients]
        self.assertLessEqual(set(statuses), {0, 200, 503})
        self.assertGreaterEqual(statuses.count(200), at_least)


class DescriptorsUsedUp(DescriptorsTest):
    settings = {"limits": {"connections_per_workload": 1000}}  # a share would be reached first

    def limit_proxy(self, free):
        """Of the running proxy: as many as it has open, and that many more."""
        before = self.soft_limit()
        limit = self.proxy_descriptors() + free
        self.set_soft_limit(limit)
        self.assertEqual(self.host.metric("causeway_proxy_max_fds"), limit)
        self.addCleanup(self.set_soft_limit, before)
        return before

    def soft_limit(self):
        with open(f"/proc/{self.host.proxy_pid()}/limits") as limits:
            return next(int(line.split()[3]) for line in limits if line.startswith("Max open files"))

    def set_soft_limit(self, number):
        """As the proxy's own account: whoever runs the tests may lack CAP_SYS_RESOURCE."""
        pid = self.host.proxy_pid()
        with open(f"/proc/{pid}/status") as status:
            account = next(int(line.split()[1]) for line in status if line.startswith("Uid:"))
        subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={number}:"], user=account, group=account, extra_groups=[], check=True)

    def test_while_it_runs(self):
        def counted():
            return (self.host.metric("causeway_limits_exceeded_total", discovery_name="held", limit="descriptors") +
                    self.host.metric("causeway_connections_failed_total", discovery_name="held", reason="limit"))

        holding = Holding(self)
        self.service("held", [self.server(holding.behave)], protocol="http")
        before = self.limit_proxy(60)
        clients = []
        for _ in range(10):  # each asks at once: one that does not for a second makes room for others
            clients += self.connect_all("held", 10)
            self.ask(clients[-10:])
        # At most 30 of them find two descriptors each; how many of the others are told by now is the machine's business.
        refused = told(clients, at_least=30)
        self.assert_refused(refused)
        wait_until(lambda: self.host.metric("causeway_proxy_open_fds") > 60, 10, "they are used up")
        # It waits, rather than looking again and again.
        used = self.proxy_cpu_seconds()
        select.select([], [], [], 1)
        self.assertLess(self.proxy_cpu_seconds() - used, 0.3)
        wait_until(lambda: counted() >= 30, 10, lambda: f"all are counted, not {counted():.0f}")
        self.set_soft_limit(before)
        holding.go.set()
        self.assert_served([client for client in clients if client not in refused], 10)
        self.assertEqual(self.host.metric("causeway_ejections_total"), 0)
        # It looks at its limit once a second.
        wait_until(lambda: self.statuses("held", 100) == {200}, 10, "new clients are served again")

    def test_idle_clients_make_room(self):
        self.service("idle", [self.server(self.ok)], protocol="http")
        self.assertEqual(get(self.connect("idle")).status, 200)
        self.limit_proxy(100)
        # Each is served, and then idle: the first ones are ended for the last ones.
        clients = []
        for _ in range(200):
            clients.append(self.connect("idle"))
            self.assertEqual(get(clients[-1]).status, 200)
        self.assertEqual(receive_all(clients[0]), (b"", True))
        self.assertEqual(get(clients[-1]).status, 200)
        self.assertEqual(self.host.metric("causeway_limits_exceeded_total", discovery_name="idle"), 0)


class FewFromTheStart(DescriptorsTest):
    """The agent, and so its proxy, may open 256 files."""

    launcher = ("prlimit", "--nofile=256:256")

    def test_it_serves_what_it_can(self):
        holding = Holding(self)
        self.service("few", [self.server(holding.behave)], protocol="http")
        clients = self.connect_all("few", 300)
        wait_until(lambda: self.host.metric("causeway_connections_opened_total", discovery_name="few") +
                   self.host.metric("causeway_limits_exceeded_total", discovery_name="few") >= 300, 20, "all are let in or refused")
        # A workload's share of so few is reached first.
        self.assertGreater(self.host.metric("causeway_limits_exceeded_total", discovery_name="few"), 100)
        self.ask(clients)
        refused = told(clients, at_least=300 - 128)
        self.assert_refused(refused)
        holding.go.set()
        # The share lets as many in as find a descriptor for their endpoints, too.
        served = [client for client in clients if client not in refused]
        self.assert_served(served, 84)
        for client in served:
            client.close()
        wait_until(lambda: self.statuses("few", 50) == {200}, 10, "new clients are served again")
        self.assertEqual(self.host.metric("causeway_ejections_total"), 0)
