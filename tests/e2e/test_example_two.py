"""The second example: namespace internal.myapp, an unnamed port, an alias without dnsName; seen from a task."""
import json

from causeway_host import HostTest


class SecondExample(HostTest):
    @classmethod
    def describe(cls):
        host = cls.host
        host.namespace("internal.myapp")
        host.ecs("CreateCluster", clusterName="production")
        definition = host.ecs("RegisterTaskDefinition", family="backend", containerDefinitions=[
            {"name": "backend", "image": "none", "portMappings": [{"containerPort": 8080, "protocol": "tcp"}]}])["taskDefinition"]
        cls.port_name = definition["containerDefinitions"][0]["portMappings"][0]["name"]
        host.ecs("CreateService", cluster="production", serviceName="backend", taskDefinition="backend", desiredCount=1,
                 serviceConnectConfiguration={"enabled": True, "namespace": "internal.myapp", "services": [
                     {"portName": "backend-8080-tcp", "discoveryName": "backend", "clientAliases": [{"port": 8080}]}]})
        host.client_service("client", namespace="internal.myapp")
        host.start_task("backend", options=("--env", "PORT=8080"))
        host.wait_healthy("backend", 1, "internal.myapp")

    def from_task(self, *arguments, **options):
        return self.host.run_in_task("client", arguments, **options)

    def test_generated_port_name(self):
        self.assertEqual(self.port_name, "backend-8080-tcp")

    def test_both_names_from_a_task(self):
        for name in ("backend.internal.myapp", "backend", "BACKEND.Internal.MyApp"):
            self.assertEqual(self.from_task("curl", "-sSf", "--noproxy", "*", f"http://{name}:8080/health").stdout, "ok\n", name)

    def test_both_names_from_the_host(self):
        for name in ("backend.internal.myapp", "backend"):
            self.assertEqual(self.host.get(f"http://{name}:8080/health"), "ok\n", name)

    def test_nslookup(self):
        answer = self.from_task("nslookup", "backend.internal.myapp").stdout
        self.assertRegex(answer, r"Address: 127\.255\.\d+\.\d+")

    def test_another_port_of_the_alias_is_refused_at_once(self):
        curl = self.from_task("curl", "-sS", "--noproxy", "*", "-m", "5", "http://backend:8081/health", check=False)
        self.assertEqual(curl.returncode, 7, curl.stderr)  # could not connect; 28 would be the timeout

    def test_a_client_only_service_cannot_be_found(self):
        names = [s["Name"] for s in self.host.cloud_map("ListServices")["Services"]]
        self.assertEqual(names, ["backend"])
        self.assertEqual(self.host.sandbox.run(["dig", "+short", "client.internal.myapp"]).stdout, "")

    def test_explain_tells_the_way(self):
        text = self.host.causeway("explain", "backend.internal.myapp:8080", "--from", "production/client").stdout
        for word in ("127.255.", "proxy", "healthy", "127.254."):
            self.assertIn(word, text)
        missing = self.host.causeway("explain", "nothing:80", check=False)
        self.assertIn("nothing", missing.stdout + missing.stderr)

    def test_tables_and_json(self):
        for command, word in (("services", "backend"), ("endpoints", "127.254."), ("tasks", "backend"), ("status", "")):
            self.assertIn(word, self.host.causeway(command).stdout)
            json.loads(self.host.causeway(command, "--json").stdout)
        self.assertEqual(self.host.causeway("doctor").returncode, 0)
