"""Limits on the kernel path, and the end of connections to endpoints that left."""
import socket
import time

from support.faults import FaultTest, get
from support.sandbox import wait_until


class KernelEnds(FaultTest):
    def set(self, name, *assignments):
        self.host.causeway("set", f"myapp.local/{name}", *assignments)
        self.host.wait_applied()

    def counted(self, metric, name, **labels):
        return self.host.metric(f"causeway_{metric}", discovery_name=name, path="kernel", **labels)

    def explain(self, name):
        return self.host.causeway("explain", name, check=False).stdout

    def holding(self, seen):
        """Answers every request, and remembers when each connection came."""
        def behave(connection):
            seen.append(time.monotonic())
            self.ok(connection)
        return self.server(behave)

    @staticmethod
    def is_open(client):
        client.setblocking(False)
        try:
            return client.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            client.setblocking(True)

    def test_connections_beyond_the_limit_are_refused_and_counted(self):
        self.service("limited", [self.server(self.ok)])
        self.set("limited", "path=kernel", "max_connections=3")
        clients = self.connect_all("limited", 3)
        for _ in range(2):
            with self.assertRaisesRegex(ConnectionError, "refused"):
                self.connect("limited")
        self.assertEqual(self.counted("connections_failed_total", "limited", reason="limit"), 2)
        self.assertEqual(self.counted("overflows_total", "limited", reason="connections"), 2)
        self.assertEqual(self.counted("limit_reached", "limited", limit="max_connections"), 1)
        self.assertEqual(self.counted("upstream_connections_active", "limited"), 3)
        self.assertIn("3 of at most 3 connections are open", self.explain("limited"))
        clients[0].close()
        wait_until(lambda: self.counted("limit_reached", "limited", limit="max_connections") == 0, 5, "one has ended")
        self.assertEqual(get(self.connect("limited")).status, 200)

    def test_those_of_an_endpoint_that_left_are_ended_after_its_drain_time(self):
        stays, leaves = [], []
        self.service("ending", [self.holding(stays), self.holding(leaves)])
        self.set("ending", "path=kernel", "drain_timeout=1s")
        clients = self.connect_all("ending", 10)
        for client in clients:
            self.assertEqual(get(client).status, 200)
        begin = time.monotonic()
        self.deregister("ending", 1)
        self.assertEqual(sum(self.is_open(client) for client in clients), 10)
        wait_until(lambda: self.counted("connections_ended_total", "ending", reason="drain") == 5, 5, "five are ended")
        self.assertGreaterEqual(time.monotonic() - begin, 1)
        self.assertEqual(sum(self.is_open(client) for client in clients), 5)
        self.assertEqual(self.counted("connections_failed_total", "ending"), 0)
        self.assertEqual(self.counted("connection_duration_seconds_count", "ending"), 5)
        self.assertEqual(self.counted("connection_rtt_seconds_count", "ending"), 5)
        self.assertIn("ended 5 connections to 1 endpoints", self.host.log_tail())
        self.assertEqual((len(stays), len(leaves)), (5, 5))

    def test_ejections_are_told_in_the_log_and_shown(self):
        dead = ("127.0.0.1", 3998)  # no port that the kernel gives to clients
        self.service("telling", [self.server(self.ok), dead])
        self.set("telling", "path=kernel", "ejection_time=500ms")
        for _ in range(10):
            try:
                self.connect("telling").close()
            except ConnectionError:
                pass
        name = 'endpoint 127.0.0.1:3998 of service "telling" in namespace "myapp.local"'
        wait_until(lambda: f"{name} keeps failing and is left out for a while" in self.host.log_tail(), 5, "the agent tells")
        self.assertIn("it keeps failing and is left out for a while", self.explain("telling"))
        shown = {e["port"]: e["left_out"] for e in self.host.causeway_json("endpoints")["endpoints"]
                 if e["discovery_name"] == "telling"}
        self.assertEqual((shown.pop(3998), list(shown.values())), (True, [False]))
        with self.host.sandbox.inside():
            listener = socket.create_server(dead, backlog=1024)
        with listener:
            def is_back():
                self.connect("telling").close()
                return f"{name} is taken back" in self.host.log_tail()
            wait_until(is_back, 5, "it is back")

    def test_the_next_agent_ends_what_is_due(self):
        self.service("crashed", [self.server(self.ok), self.server(self.ok)])
        self.set("crashed", "path=kernel", "drain_timeout=2s", "max_connections=6")
        clients = self.connect_all("crashed", 6)
        self.deregister("crashed", 1)
        self.host.kill_agent()
        self.host.start()
        self.assertEqual(self.counted("upstream_connections_active", "crashed"), 6)
        wait_until(lambda: self.counted("connections_ended_total", "crashed", reason="drain") == 3, 10, "three are ended")
        self.assertEqual(sum(self.is_open(client) for client in clients), 3)
        self.assertEqual(self.counted("upstream_connections_active", "crashed"), 3)
        for client in clients:
            client.close()
        wait_until(lambda: self.counted("upstream_connections_active", "crashed") == 0, 10, "none is open")
