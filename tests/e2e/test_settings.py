"""Settings of services: set by the command line, by an AWS client and by the configuration; what they do; a restart."""
import json
import threading

from causeway_host import PYTHON_CLIENTS, HostPerTest
from support.clients import Boto3
from support.faults import OK, FaultTest, get, read_request
from support.sandbox import wait_until


class Settings(FaultTest):
    settings = {"defaults": {"retries": 1, "connect_timeout": "1s", "drain_timeout": "5s"},
                'service."myapp.local/held"': {"max_connections": 1, "max_pending_requests": 0},
                'service."MyApp.local/sources"': {"retries": 3, "ejection": False}}

    @classmethod
    def describe(cls):
        super().describe()
        cls.boto3 = Boto3(cls.host, PYTHON_CLIENTS / "bin/python")
        cls.addClassCleanup(cls.boto3.close)

    def value(self, name, key):
        """A setting as `causeway set` shows it, and where it comes from."""
        answer = self.host.causeway_json("set", f"myapp.local/{name}")
        return next((s["value"], s["source"]) for s in answer["settings"] if s["key"] == key)

    def set(self, name, *assignments, **options):
        return self.host.causeway("set", f"myapp.local/{name}", *assignments, **options)

    def identity(self, name):
        return next(s["Id"] for s in self.host.cloud_map("ListServices")["Services"] if s["Name"] == name)

    def test_of_several_sources_the_api_counts(self):
        self.service("sources", [])
        self.assertEqual(self.value("sources", "max_connections"), ("8192", "the built-in default"))
        self.assertEqual(self.value("sources", "connect_timeout"), ("1s", "[defaults] of the configuration"))
        self.assertEqual(self.value("sources", "retries"), ("3", '[service."myapp.local/sources"] of the configuration'))

        shown = self.set("sources", "retries=0", "idle_timeout=90s").stdout
        self.assertIn("the service attribute causeway:retries", shown)
        self.assertEqual(self.value("sources", "retries")[0], "0")
        done = self.host.causeway("explain", "sources", check=False)
        self.assertEqual(done.returncode, 3, "it has no endpoint")
        explained = done.stdout
        self.assertIn("idle_timeout is 90s, by the service attribute causeway:idle_timeout (default 1h)", explained)
        self.assertIn('ejection is off, by [service."myapp.local/sources"] of the configuration (default on)', explained)
        self.assertNotIn("max_connections", explained)

        self.set("sources", "retries=", "idle_timeout=")
        self.assertEqual(self.value("sources", "retries")[0], "3")
        self.assertEqual(self.value("sources", "idle_timeout"), ("1h", "the built-in default"))

    def test_an_aws_client_sets_shows_and_deletes(self):
        self.service("attributes", [])
        identity = self.identity("attributes")
        call = lambda operation, **more: self.boto3.call("servicediscovery", operation, ServiceId=identity, **more)  # noqa: E731
        call("update_service_attributes", Attributes={"causeway:retry_budget": "5%", "team": "users"})
        self.assertEqual(self.value("attributes", "retry_budget"), ("5%", "the service attribute causeway:retry_budget"))
        self.set("attributes", "ejection_time=1m")
        self.assertEqual(call("get_service_attributes")["ServiceAttributes"]["Attributes"],
                         {"causeway:retry_budget": "5%", "causeway:ejection_time": "1m", "team": "users"})
        call("delete_service_attributes", Attributes=["causeway:retry_budget"])
        self.assertEqual(self.value("attributes", "retry_budget")[0], "20%")
        for attributes, answer in (({"causeway:retrys": "1"}, "did you mean retries?"),
                                   ({"causeway:retries": "many"}, "it takes a number from 0 to 10"),
                                   ({"team": "x", "causeway:idle_timeout": "5"}, "such as 5s or 250ms")):
            with self.subTest(attributes), self.assertRaises(AssertionError) as refused:
                call("update_service_attributes", Attributes=attributes)
            self.assertIn("InvalidInput", str(refused.exception))
            self.assertIn(answer, str(refused.exception))
        self.assertEqual(call("get_service_attributes")["ServiceAttributes"]["Attributes"]["team"], "users")

    def test_the_command_line_says_what_is_wrong(self):
        self.service("wrong", [])
        for assignments, answer in ((["max_conections=5"], "did you mean max_connections?"),
                                    (["retries=1", "connect_timeout=5"], "a duration from 1ms to 10m, such as 5s or 250ms"),
                                    (["retries"], "give KEY=VALUE, or KEY= to remove it"),
                                    (["retrys="], "did you mean retries?")):
            failed = self.set("wrong", *assignments, check=False)
            self.assertEqual(failed.returncode, 1, assignments)
            self.assertIn(answer, failed.stderr)
        self.assertEqual(self.value("wrong", "retries")[0], "1", "nothing of a wrong change is made")
        failed = self.host.causeway("set", "myapp.local/wrogn", "retries=1", check=False)
        self.assertIn("did you mean myapp.local/wrong?", failed.stderr)

    def hold(self, name):
        """A server that answers when it is let; a client whose request it holds."""
        let = threading.Event()
        self.addCleanup(let.set)

        def behave(connection):
            request, rest = read_request(connection)
            while request is not None:
                let.wait(60)
                connection.sendall(OK)
                request, rest = read_request(connection, rest)

        self.service(name, [self.server(behave)])
        holding = self.connect(name, port=80)
        holding.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.wait_gauge(name, "causeway_upstream_connections_active", 1)
        return let, holding

    def wait_gauge(self, name, gauge, value, **labels):
        wait_until(lambda: self.host.metric(gauge, discovery_name=name, **labels) == value, 10,
                   lambda: f"{gauge} of {name} is {value}, not {self.host.metric(gauge, discovery_name=name, **labels)}")

    def test_limits_of_the_configuration_act_and_those_set_later(self):
        let, holding = self.hold("held")
        self.assertEqual(self.host.metric("causeway_limit_reached", discovery_name="held", limit="max_connections"), 1)
        refused = get(self.connect("held", port=80))
        self.assertEqual(refused.status, 503)
        self.assertIn(b"max_pending_requests", refused.body)
        self.assertEqual(self.host.metric("causeway_overflows_total", discovery_name="held", reason="pending_requests"), 1)

        self.set("held", "max_pending_requests=1")
        self.host.wait_applied()
        waiting = self.connect("held", port=80)
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.wait_gauge("held", "causeway_requests_pending", 1)
        self.assertEqual(get(self.connect("held", port=80)).status, 503)
        let.set()
        for client in (holding, waiting):
            self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 200 "))
        self.wait_gauge("held", "causeway_requests_pending", 0)
        self.assertEqual(self.host.metric("causeway_upstream_connections_active", discovery_name="held"), 1)

    def test_a_timeout_acts_without_a_restart(self):
        let, holding = self.hold("timed")
        self.set("timed", "per_request_timeout=200ms")
        self.host.wait_applied()
        late = get(self.connect("timed", port=80))
        self.assertEqual(late.status, 504)
        let.set()
        self.assertTrue(holding.recv(65536).startswith(b"HTTP/1.1 200 "), "the request before it has its old time")


class Restart(HostPerTest):
    def describe(self):
        self.host.namespace()
        self.host.connected_service("user-service", dns_name="user-svc")

    def value(self, key):
        answer = json.loads(self.host.causeway("set", "myapp.local/user-service", "--json").stdout)
        return next(s["value"] for s in answer["settings"] if s["key"] == key)

    def test_settings_survive_restarts(self):
        self.host.causeway("set", "myapp.local/user-service", "max_connections=7", "ejection=off")
        self.host.stop()
        self.host.start()
        self.assertEqual((self.value("max_connections"), self.value("ejection")), ("7", "off"))
        self.host.kill_agent()
        self.host.start()
        self.assertEqual((self.value("max_connections"), self.value("ejection")), ("7", "off"))
        self.host.start_task("user-service")
        self.host.wait_healthy("user-service", 1)
        self.assertIn("ok", self.host.get("http://user-svc/health"))
        self.host.end_tasks()
