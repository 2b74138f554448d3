"""Services on the kernel path: connect() goes to an endpoint, and the proxy has no part in it."""
import contextlib
import socket
import subprocess
import threading
import time

from causeway_host import Host, HostTest
from support.faults import OK, FaultTest, get, read_request, receive_all, reset
from support.sandbox import wait_until


class KernelPathTest(FaultTest):
    def set(self, name, *assignments, **options):
        self.host.causeway("set", f"myapp.local/{name}", *assignments, **options)
        self.wait_applied()

    def wait_applied(self):
        wait_until(lambda: all(s["current"] for s in self.host.causeway_json("status")["sinks"]), 10, "all sinks are current")

    def tasks(self, name, count):
        for _ in range(count):
            task = self.host.start_task(name)
            self.addCleanup(task.wait)
            self.addCleanup(task.kill)
        self.host.wait_healthy(name, count)

    def proxied(self, name):
        return self.host.metric("causeway_connections_opened_total", discovery_name=name, path="proxy")

    def explain(self, name):
        return self.host.causeway("explain", name, check=False).stdout

    def counting_server(self, connections):
        def behave(connection):
            connections.append(connection.getpeername())
            self.ok(connection)
        return self.server(behave)


class Path(KernelPathTest):
    def test_every_endpoint_answers_and_the_proxy_does_not(self):
        self.host.connected_service("direct", dns_name="direct")
        self.tasks("direct", 3)
        self.set("direct", "path=kernel")
        counts = self.host.finish_load(self.host.load("http://direct/api/users/1", requests=600, per_connection=1))
        self.assertEqual((counts["failures"], counts["ok"]), ([], 600))
        self.assertEqual(len(counts["tasks"]), 3, counts["tasks"])
        self.assertEqual(self.host.get("http://direct/health"), "ok\n")
        self.assertEqual(self.host.run_in_task("direct", ["curl", "-sS", "-m", "5", "http://direct/health"]).stdout, "ok\n")
        self.assertEqual(self.proxied("direct"), 0)
        self.assertEqual(self.host.metric("causeway_requests_total", discovery_name="direct"), 0)

        self.set("direct", "path=proxy")
        self.assertEqual(self.host.get("http://direct/health"), "ok\n")
        self.assertEqual(self.proxied("direct"), 1)

    def test_the_peer_shown_is_the_one_dialled(self):
        self.service("peer", [self.server(self.ok)])
        self.set("peer", "path=kernel")
        alias = next(s for s in self.host.causeway_json("services")["services"] if s["discovery_name"] == "peer")
        self.assertEqual(alias["path"], "kernel")
        client = self.connect("peer")
        self.assertEqual(client.getpeername()[:2], (alias["aliases"][0]["vip4"], 80))
        self.assertEqual(get(client).status, 200)

    def test_switched_there_and_back_under_load(self):
        self.host.connected_service("switched", dns_name="switched")
        self.tasks("switched", 3)
        kept = self.host.load("http://switched/api/users/1", connections=4)
        fresh = self.host.load("http://switched/api/users/1", connections=4, per_connection=2)
        for path in ("kernel", "proxy", "kernel", "auto", "kernel", "proxy"):
            self.set("switched", f"path={path}")
            before = self.proxied("switched")
            time.sleep(0.3)  # the load goes on
            rose = self.proxied("switched") - before
            if path == "kernel":
                self.assertLessEqual(rose, 8, "dials that were under way")
            else:
                self.assertGreater(rose, 0)
        for load in (kept, fresh):
            counts = self.host.finish_load(load, stop=True)
            self.assertEqual(counts["failures"], [])
            self.assertGreater(counts["ok"], 100)
            self.assertEqual(len(counts["tasks"]), 3, counts["tasks"])

    def test_an_endpoint_that_left_gets_no_new_connection(self):
        stays, leaves = [], []
        self.service("leaving", [self.counting_server(stays), self.counting_server(leaves)])
        self.set("leaving", "path=kernel")
        for client in self.connect_all("leaving", 40):
            self.assertEqual(get(client).status, 200)
        before = len(leaves)
        self.assertGreater(before, 0)
        self.deregister("leaving", 1)
        for client in self.connect_all("leaving", 40):
            self.assertEqual(get(client).status, 200)
        self.assertEqual((len(leaves), len(stays)), (before, 80 - before))

    def test_without_endpoints_a_dial_is_refused_at_once(self):
        self.service("empty", [])
        self.set("empty", "path=kernel")
        begin = time.monotonic()
        with self.assertRaisesRegex(ConnectionError, "refused"):
            self.connect("empty")
        self.assertLess(time.monotonic() - begin, 1)
        self.assertIn("refused at once (ECONNREFUSED)", self.explain("empty"))
        self.register("empty", [self.server(self.ok)])
        self.assertEqual(get(self.connect("empty")).status, 200)

    def test_set_shown_and_refused(self):
        self.service("told", [])
        self.assertIn("through the proxy (path is auto, which is the proxy for TCP)", self.explain("told"))
        identity = next(s["Id"] for s in self.host.cloud_map("ListServices")["Services"] if s["Name"] == "told")
        self.host.cloud_map("UpdateServiceAttributes", ServiceId=identity, Attributes={"causeway:path": "kernel"})
        self.assertIn("(path is kernel, by the service attribute causeway:path)", self.explain("told"))
        failed = self.host.causeway("set", "myapp.local/told", "path=direct", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn('it takes auto, kernel or proxy, not "direct"', failed.stderr)
        self.host.causeway("set", "myapp.local/told", "path=")
        self.assertIn("path is auto", self.explain("told"))


class Counted(KernelPathTest):
    def counted(self, metric, name, **labels):
        return self.host.metric(f"causeway_{metric}", discovery_name=name, path="kernel", **labels)

    def wait_counted(self, metric, name, value, **labels):
        wait_until(lambda: self.counted(metric, name, **labels) == value, 10,
                   lambda: f"{metric} of {name} is {self.counted(metric, name, **labels)}, not {value}")

    def test_connections_and_bytes_are_the_servers_own(self):
        seen, lock = [], threading.Lock()

        def behave(connection):
            received = sent = 0
            request, rest = read_request(connection)
            while request is not None:
                received += len(request)
                connection.sendall(OK)
                sent += len(OK)
                request, rest = read_request(connection, rest)
            with lock:
                seen.append((received, sent))

        self.service("exact", [self.server(behave), self.server(behave)])
        self.set("exact", "path=kernel")
        for per_connection in (1, 7, 0):
            load = self.host.load("http://exact/users", requests=400, connections=4, per_connection=per_connection)
            self.assertEqual(self.host.finish_load(load)["failures"], [])
        wait_until(lambda: self.counted("connections_active", "exact") == 0, 10, "all are closed")
        wait_until(lambda: len(seen) >= self.counted("connections_opened_total", "exact"), 10, "the servers are through")
        self.assertGreater(len(seen), 400)
        for client in ("host", None):
            labels = {"client": client} if client else {}
            self.assertEqual(self.counted("connections_opened_total", "exact", **labels), len(seen))
            self.assertEqual(self.counted("bytes_sent_total", "exact", **labels), sum(received for received, _ in seen))
            self.assertEqual(self.counted("bytes_received_total", "exact", **labels), sum(sent for _, sent in seen))
            self.assertEqual(self.counted("connect_duration_seconds_count", "exact", **labels), len(seen))
        self.assertEqual(self.counted("connections_failed_total", "exact"), 0)
        service = next(s for s in self.host.causeway_json("services")["services"] if s["discovery_name"] == "exact")
        self.assertEqual(service["counters"]["connections_opened"], len(seen))

    def test_open_connections_and_failures(self):
        self.service("failing", [self.server(self.ok)])
        self.set("failing", "path=kernel")
        clients = self.connect_all("failing", 5)
        self.wait_counted("connections_active", "failing", 5)
        for client in clients:
            client.close()
        self.wait_counted("connections_active", "failing", 0)
        self.service("refusing", [self.free_port()])
        self.set("refusing", "path=kernel")
        for _ in range(3):
            with self.assertRaises(ConnectionError):
                self.connect("refusing")
        self.wait_counted("connections_failed_total", "refusing", 3, reason="refused")
        self.deregister("refusing", 0)
        with self.assertRaises(ConnectionError):
            self.connect("refusing")
        self.wait_counted("connections_failed_total", "refusing", 1, reason="no_endpoint")
        self.service("resetting", [self.server(lambda connection: (connection.recv(1), reset(connection)))])
        self.set("resetting", "path=kernel")
        for client in self.connect_all("resetting", 4):
            client.sendall(b"x")
            self.assertEqual(receive_all(client), (b"", False))
        self.wait_counted("connections_failed_total", "resetting", 4, reason="reset")

    def test_an_endpoint_that_keeps_failing_is_left_out(self):
        dead = ("127.0.0.1", 3999)  # no port that the kernel gives to clients
        self.service("ejecting", [self.server(self.ok), dead])
        self.set("ejecting", "path=kernel", "ejection_time=500ms")

        def failed(dials):
            count = 0
            for _ in range(dials):
                try:
                    self.connect("ejecting").close()
                except ConnectionError:
                    count += 1
            return count

        self.assertEqual(failed(10), 5)
        self.assertEqual(self.counted("ejections_total", "ejecting"), 1)
        self.assertEqual(self.counted("endpoints_ejected", "ejecting"), 1)
        self.assertEqual(failed(20), 0)
        self.assertIn("left out for a while by the kernel", self.explain("ejecting"))
        with self.host.sandbox.inside():
            listener = socket.create_server(dead, backlog=1024)
        with listener:
            wait_until(lambda: failed(2) == 0 and self.counted("ejection_returns_total", "ejecting") == 1, 5, "it is back")
            self.assertEqual(self.counted("endpoints_ejected", "ejecting"), 0)

    def test_a_task_is_the_client(self):
        self.service("called", [self.server(self.ok)])
        self.set("called", "path=kernel")
        self.host.client_service("caller")
        self.host.run_in_task("caller", ["curl", "-sSf", "--noproxy", "*", "http://called/"])
        self.wait_counted("connections_opened_total", "called", 1, client="caller")

    def test_promtool_accepts_it(self):
        self.service("checked", [self.server(self.ok)])
        self.set("checked", "path=kernel")
        self.assertEqual(get(self.connect("checked")).status, 200)
        text = self.host.admin("/metrics")[1]
        self.assertIn('path="kernel"', text)
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))


class Balance(KernelPathTest):
    def register_with(self, name, number, server, **attributes):
        identity = next(s["Id"] for s in self.host.cloud_map("ListServices")["Services"] if s["Name"] == name)
        address, port = server
        self.host.finished(self.host.cloud_map("RegisterInstance", ServiceId=identity, InstanceId=f"i-{number}", Attributes={
            "AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": str(port), **attributes}))

    def request_counter(self, requests):
        def behave(connection):
            request, rest = read_request(connection)
            while request is not None:
                requests.append(request)
                connection.sendall(OK)
                request, rest = read_request(connection, rest)
        return self.server(behave)

    def test_weights_of_instances_on_both_paths(self):
        heavy, light, idle = [], [], []
        self.service("weighed", [])
        for number, (seen, weight) in enumerate(((heavy, "9"), (light, "1"), (idle, "0"))):
            self.register_with("weighed", number, self.request_counter(seen), **{"causeway:weight": weight})
        for path in ("kernel", "proxy"):
            self.set("weighed", f"path={path}")
            for seen in (heavy, light, idle):
                seen.clear()
            for client in self.connect_all("weighed", 100):
                self.assertEqual(get(client).status, 200)
            self.assertEqual(len(heavy) + len(light), 100)
            self.assertAlmostEqual(len(light), 10, delta=2)
            self.assertEqual(idle, [])
        self.assertIn("in turn, by weight", self.explain("weighed"))
        self.set("weighed", "weight.i-0=0", "weight.i-2=1")
        for seen in (heavy, light, idle):
            seen.clear()
        for client in self.connect_all("weighed", 40):
            self.assertEqual(get(client).status, 200)
        self.assertEqual((len(heavy), len(light) + len(idle)), (0, 40))
        self.assertAlmostEqual(len(light), 20, delta=4, msg="each of the proxy's workers has turns of its own")
        self.assertIn("weight.i-0", self.host.causeway("set", "myapp.local/weighed").stdout)
        self.assertIn("2 of 3 take connections", self.explain("weighed"))

    def test_maglev_keeps_a_client_at_its_endpoint(self):
        seen = [[] for _ in range(5)]
        self.service("sticky", [self.counting_server(one) for one in seen])
        self.set("sticky", "path=kernel", "balance=maglev", "affinity=task")
        self.assertIn("a client always the same (balance is maglev)", self.explain("sticky"))
        for client in self.connect_all("sticky", 12):
            self.assertEqual(get(client).status, 200)
        self.assertEqual(sorted(len(one) for one in seen), [0, 0, 0, 0, 12])
        before = next(number for number, one in enumerate(seen) if one)
        self.deregister("sticky", before)
        for client in self.connect_all("sticky", 12):
            self.assertEqual(get(client).status, 200)
        self.assertEqual(sorted(len(one) for one in seen), [0, 0, 0, 12, 12])

    def test_endpoints_of_this_host_come_first(self):
        here = []
        self.service("near", [self.counting_server(here), ("192.0.2.1", 80), ("192.0.2.2", 80)])
        self.set("near", "path=kernel", "locality=prefer_host")
        for client in self.connect_all("near", 12):
            self.assertEqual(get(client).status, 200)
        self.assertEqual(len(here), 12)
        self.assertIn("among those of this host while 70% of them are fit", self.explain("near"))


class Configured(KernelPathTest):
    settings = {"defaults": {"path": "kernel"}, 'service."myapp.local/proxied"': {"path": "proxy"}}

    def test_of_the_host_and_of_one_service(self):
        for name in ("all", "proxied"):
            self.service(name, [self.server(self.ok)])
            self.assertEqual(get(self.connect(name)).status, 200)
        self.assertEqual((self.proxied("all"), self.proxied("proxied")), (0, 1))
        self.assertIn("(path is kernel, by [defaults] of the configuration)", self.explain("all"))
        self.assertIn('(path is proxy, by [service."myapp.local/proxied"] of the configuration)', self.explain("proxied"))

    def test_a_value_that_it_does_not_take_is_refused(self):
        with contextlib.closing(Host({"defaults": {"path": "direct"}})) as host:
            host.launch("--check").wait(10)
            self.assertNotEqual(host.agent.returncode, 0)
            self.assertIn("defaults.path must be auto, kernel or proxy", host.log_tail())
            host.agent = None


class WithoutTheProxy(HostTest):
    @classmethod
    def describe(cls):
        cls.host.namespace()

    def test_its_death_changes_nothing(self):
        self.host.connected_service("alone", dns_name="alone")
        for _ in range(2):
            task = self.host.start_task("alone")
            self.addCleanup(task.wait)
            self.addCleanup(task.kill)
        self.host.wait_healthy("alone", 2)
        self.host.causeway("set", "myapp.local/alone", "path=kernel")
        wait_until(lambda: all(s["current"] for s in self.host.causeway_json("status")["sinks"]), 10, "all sinks are current")
        kept = self.host.load("http://alone/api/users/1", connections=2)
        fresh = self.host.load("http://alone/api/users/1", connections=2, per_connection=1)
        for restarts in (1, 2):
            subprocess.run(["kill", "-9", str(self.host.proxy_pid())], check=True)
            wait_until(lambda: self.host.metric("causeway_proxy_restarts_total") >= restarts and self.host.is_ready(), 10,
                       "the proxy is back")
        for load in (kept, fresh):
            counts = self.host.finish_load(load, stop=True)
            self.assertEqual(counts["failures"], [])
            self.assertGreater(counts["ok"], 50)
        self.assertEqual(self.host.metric("causeway_connections_opened_total", discovery_name="alone", path="proxy"), 0)
