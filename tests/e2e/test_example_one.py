"""The first example, played with each client: Cloud Map registries alone, Service Connect alone, and both."""
import json

from causeway_host import PYTHON_CLIENTS, HostPerTest
from support.clients import Boto3, CommandLine
from support.sandbox import wait_until
from support.sigv4 import ApiError

CONNECT = {"enabled": True, "namespace": "myapp.local", "services": [
    {"portName": "http", "discoveryName": "user-service", "clientAliases": [{"port": 80, "dnsName": "user-svc"}]}]}


class Example:
    """Mixed into one test case a client, with its make_client()."""

    def describe(self):
        self.client = self.make_client(self.host)
        self.addCleanup(self.client.close)

    def play(self, *, registries, connect, defaults=False):
        operation = self.client.create_namespace()["OperationId"]
        done = wait_until(lambda: (o := self.client.get_operation(operation))["Status"] == "SUCCESS" and o, 10,
                          "the namespace's operation is SUCCESS")
        service = self.client.create_cloud_map_service(done["Targets"]["NAMESPACE"]) if registries else None
        self.client.create_cluster(defaults)
        for _ in range(4):  # the example runs user-service:5
            self.host.ecs("RegisterTaskDefinition", family="user-service", containerDefinitions=[{"name": "old", "image": "none"}])
        self.assertEqual(self.client.register_task_definition()["revision"], 5)
        answer = self.client.create_ecs_service([{"registryArn": service["Arn"], "port": 3000}] if registries else None, connect)
        self.assertEqual(answer["status"], "ACTIVE")
        return [self.host.start_task("user-service") for _ in range(2)]

    def assert_balanced(self, url):
        tasks = {json.loads(self.host.get(url))["task"] for _ in range(10)}
        self.assertEqual(len(tasks), 2, tasks)

    def assert_discovered(self, name, count=2):
        found = self.client.discover(name)
        self.assertEqual(len(found), count, found)
        for instance in found:
            self.assertEqual(instance["Attributes"]["AWS_INSTANCE_PORT"], "3000")
            self.assertRegex(instance["Attributes"]["AWS_INSTANCE_IPV4"], r"^127\.254\.")

    def test_service_registries_alone(self):
        self.play(registries=True, connect=None)
        self.host.wait_healthy("user-service", 2)
        addresses = set(self.host.sandbox.run(["dig", "+short", "user-service.myapp.local"]).stdout.split())
        self.assertEqual(len(addresses), 2, addresses)
        self.assert_discovered("user-service")
        user = json.loads(self.host.get("http://user-service.myapp.local:3000/api/users/123"))
        self.assertEqual(user["id"], "123")
        self.assertIn(user["task"].split(":")[0], addresses)
        self.assertEqual(self.client.describe_ecs_service()["runningCount"], 2)

    def test_service_connect_alone(self):
        self.play(registries=False, connect=CONNECT, defaults=True)
        self.host.wait_healthy("user-service", 2)
        self.assertEqual(json.loads(self.host.get("http://user-svc:80/api/users/123"))["id"], "123")
        self.assert_balanced("http://user-svc/api/users/1")
        self.assertEqual([s["Name"] for s in self.client.list_cloud_map_services()], ["user-service"])
        self.assert_discovered("user-service")
        service = self.client.describe_ecs_service()
        self.assertEqual(service["runningCount"], 2)
        self.assertEqual(service["deployments"][0]["serviceConnectResources"][0]["discoveryName"], "user-service")

    def test_both_on_one_service(self):
        connect = json.loads(json.dumps(CONNECT))
        connect["services"][0]["discoveryName"] = "users"
        self.play(registries=True, connect=connect)
        self.host.wait_healthy("user-service", 2)
        self.host.wait_healthy("users", 2)
        self.assert_balanced("http://user-svc/api/users/1")
        self.assertEqual(self.host.get("http://user-service.myapp.local:3000/health"), "ok\n")
        self.assertEqual({s["Name"] for s in self.client.list_cloud_map_services()}, {"user-service", "users"})


class DebianAws(Example, HostPerTest):
    def make_client(self, host):
        return CommandLine(host, "/usr/bin/aws")


class PypiAws(Example, HostPerTest):
    def make_client(self, host):
        return CommandLine(host, PYTHON_CLIENTS / "bin/aws")


class PypiBoto3(Example, HostPerTest):
    def make_client(self, host):
        return Boto3(host, PYTHON_CLIENTS / "bin/python")


class Refusals(HostPerTest):
    """What AWS or its guides let fail in silence is refused with the reason."""

    def describe(self):
        self.namespace = self.host.namespace()
        self.host.connected_service("user-service", dns_name="user-svc")

    def refused(self, what, service, operation, **parameters):
        with self.assertRaises(ApiError, msg=what) as caught:
            self.host.call(service, operation, **parameters)
        return caught.exception

    def create(self, name, connect, family="user-service"):
        return self.refused(name, "ecs", "CreateService", cluster="production", serviceName=name, taskDefinition=family,
                            desiredCount=1, serviceConnectConfiguration=connect)

    def entry(self, **changes):
        service = {"portName": "http", "discoveryName": "other", "clientAliases": [{"port": 80, "dnsName": "other"}]} | changes
        return {"enabled": True, "namespace": "myapp.local", "services": [service]}

    def test_refused_with_the_reason(self):
        taken = self.create("second", self.entry(discoveryName="user-service"))
        self.assertIn("user-service", taken.text)
        alias = self.create("second", self.entry(clientAliases=[{"port": 80, "dnsName": "user-svc"}]))
        self.assertIn("user-svc", alias.text)
        self.assertIn("user-service", alias.text)
        port = self.create("second", self.entry(portName="grpc"))
        self.assertIn("grpc", port.text)
        unknown = self.create("second", self.entry() | {"namespace": "nowhere.local"})
        self.assertIn("nowhere.local", unknown.text)
        self.host.ecs("RegisterTaskDefinition", family="udp", containerDefinitions=[
            {"name": "app", "image": "none", "portMappings": [{"name": "http", "containerPort": 53, "protocol": "udp"}]}])
        self.assertIn("udp", self.create("second", self.entry(), family="udp").text.lower())
        in_use = self.refused("delete", "servicediscovery", "DeleteNamespace", Id=self.namespace)
        self.assertEqual(in_use.type, "ResourceInUse")
        self.assertEqual(self.refused("unknown", "ecs", "RunTask", taskDefinition="x").type, "UnknownOperationException")
        # Nothing of what was refused exists.
        services = self.host.ecs("ListServices", cluster="production")["serviceArns"]
        self.assertEqual(len(services), 1, services)
