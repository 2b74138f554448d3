"""File descriptors used up: those connected are served, those beyond are told at once, idle ones make room, it passes."""
import contextlib
import http.client
import select
import subprocess
import threading

from support.faults import OK, Answer, FaultTest, get, receive_all
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

    @staticmethod
    def told(clients):
        """Those that have something to read, or have ended, when for a second no more did."""
        poll = select.poll()
        by_fd = {client.fileno(): client for client in clients}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        found = []
        while ready := poll.poll(1000):
            for fd, _ in ready:
                poll.unregister(fd)
                found.append(by_fd[fd])
        return found

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

    def assert_served(self, clients, at_least):
        statuses = [Answer(client).status for client in clients]
        self.assertLessEqual(set(statuses), {200, 503})
        self.assertGreaterEqual(statuses.count(200), at_least)


class DescriptorsUsedUp(DescriptorsTest):
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
        holding = Holding(self)
        self.service("held", [self.server(holding.behave)], protocol="http")
        before = self.limit_proxy(60)
        clients = self.connect_all("held", 100)
        self.ask(clients)
        refused = self.told(clients)
        # At most 30 of them find two descriptors each; how many of the others are told by now is the machine's business.
        self.assertGreaterEqual(len(refused), 30)
        self.assert_refused(refused)
        self.assertGreater(self.host.metric("causeway_proxy_open_fds"), 60)
        # It waits, rather than looking again and again.
        used = self.proxy_cpu_seconds()
        select.select([], [], [], 1)
        self.assertLess(self.proxy_cpu_seconds() - used, 0.3)
        self.assertGreater(self.host.metric("causeway_limits_exceeded_total", discovery_name="held", limit="descriptors") +
                           self.host.metric("causeway_connections_failed_total", discovery_name="held", reason="limit"), 29)
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
        self.ask(clients)
        refused = self.told(clients)
        self.assertGreaterEqual(len(refused), 300 - 128)
        self.assert_refused(refused)
        # A workload's share of so few is reached first.
        self.assertGreater(self.host.metric("causeway_limits_exceeded_total", discovery_name="few"), 100)
        holding.go.set()
        # The share lets 168 clients in; what they leave of 256 is for their endpoints.
        self.assert_served([client for client in clients if client not in refused], 40)
        wait_until(lambda: self.statuses("few", 50) == {200}, 10, "new clients are served again")
        self.assertEqual(self.host.metric("causeway_ejections_total"), 0)
