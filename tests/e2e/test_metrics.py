"""/metrics: well-formed for Prometheus, and true."""
import subprocess

from causeway_host import HostTest
from support.sandbox import wait_until


class Metrics(HostTest):
    @classmethod
    def describe(cls):
        cls.host.namespace()
        cls.host.connected_service("user-service", dns_name="user-svc", discovery_name="users")
        cls.host.connected_service("orders", dns_name="orders")
        cls.host.client_service("caller")
        cls.host.start_task("user-service")
        cls.host.start_task("orders")
        cls.host.wait_healthy("users", 1)
        cls.host.wait_healthy("orders", 1)

    def counted(self, name, **labels):
        return self.host.metric("causeway_" + name, **labels)

    def test_promtool_accepts_it(self):
        self.host.get("http://user-svc/health")
        status, text = self.host.admin("/metrics")
        self.assertEqual(status, 200)
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_counts_match_what_was_sent(self):
        before = {c: self.counted("requests_total", discovery_name="orders", code=c) for c in ("2xx", "4xx")}
        opened = self.counted("connections_opened_total", discovery_name="orders")
        durations = self.counted("request_duration_seconds_count", discovery_name="orders")
        load = self.host.load("http://orders/api/users/1", requests=1000, connections=4)
        self.assertEqual(self.host.finish_load(load)["ok"], 1000)
        for _ in range(7):
            self.host.sandbox.run(["curl", "-s", "--noproxy", "*", "http://orders/no/such/path"])

        def grown(name, start, **labels):
            return self.counted(name, discovery_name="orders", **labels) - start

        wait_until(lambda: grown("requests_total", before["4xx"], code="4xx") == 7, 5, "the last request is counted")
        self.assertEqual(grown("requests_total", before["2xx"], code="2xx"), 1000)
        self.assertEqual(grown("request_duration_seconds_count", durations), 1007)
        self.assertEqual(grown("connections_opened_total", opened), 4 + 7)
        wait_until(lambda: self.counted("connections_active", discovery_name="orders") == 0, 5, "all connections are closed")
        self.assertGreater(self.counted("bytes_received_total", discovery_name="orders"), 1000 * 50)
        self.assertGreater(self.counted("bytes_sent_total", discovery_name="orders"), 1000 * 30)

    def test_labels(self):
        self.host.get("http://user-svc/health")
        labels = {"namespace": "myapp.local", "discovery_name": "users", "path": "proxy", "code": "2xx"}
        self.assertGreaterEqual(self.counted("requests_total", client="host", **labels), 1)
        self.host.run_in_task("caller", ("curl", "-sSf", "--noproxy", "*", "http://user-svc/health"))
        self.assertEqual(self.counted("requests_total", client="caller", **labels), 1)

    def test_gauges(self):
        self.assertEqual(self.counted("endpoints", discovery_name="users", health="healthy"), 1)
        self.assertGreater(self.counted("snapshot_revision"), 0)
        self.assertEqual(self.counted("interception_effective"), 1)
        self.assertLess(self.counted("snapshot_age_seconds"), 3600)

    def test_dns_queries(self):
        before = self.counted("dns_queries_total")
        self.host.sandbox.run(["dig", "+short", "user-svc"])
        self.assertEqual(self.counted("dns_queries_total") - before, 1)

    def test_series_do_not_grow_with_requests(self):
        series = len(self.host.metrics())
        for n in range(50):
            self.host.sandbox.run(["curl", "-s", "--noproxy", "*", "-H", f"X-Anything: {n}", f"http://user-svc/no/such/{n}"])
        self.assertLessEqual(len(self.host.metrics()) - series, 40)  # the 4xx of one service, not a series a request

    def test_health_and_readiness(self):
        self.assertEqual(self.host.admin("/healthz")[0], 200)
        self.assertEqual(self.host.admin("/readyz")[0], 200)
        self.assertEqual(self.host.admin("/no-such-page")[0], 404)
