"""A table of services and endpoints, described over the agent's own API."""
import contextlib
import time

from support.sandbox import wait_until

from quick_api import QuickApi

CLUSTER, NAMESPACE, ALIAS_PORT = "production", "myapp.local", 80
FIRST_PORT, AT_ONCE = 3000, 100  # discovery names that one ECS service describes


def name_of(service):
    return f"s{service}"


class Table:
    """`endpoints` of (address, port), dealt out in turn over so many services; each service has an alias of its own."""

    def __init__(self, host, services):
        self.host = host
        self.services = services
        self.ids = []
        self.seconds = {}

    @contextlib.contextmanager
    def _timed(self, what, many):
        start = time.monotonic()
        yield
        self.seconds[what] = (time.monotonic() - start, many)

    def describe(self, endpoints):
        self.host.namespace()
        with contextlib.closing(QuickApi(self.host)) as api, self._timed("CreateService", self.services):
            self._create(api)
        with contextlib.closing(QuickApi(self.host)) as api:  # the others of the one before were idle for too long
            with self._timed("RegisterInstance", len(endpoints)):
                self._all(api, (("servicediscovery", "RegisterInstance", {
                    "ServiceId": self.ids[n % self.services], "InstanceId": f"i-{n}",
                    "Attributes": {"AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": str(port)}})
                    for n, (address, port) in enumerate(endpoints)))
            with self._timed("followed", 1):
                self.wait_followed(300)

    @staticmethod
    def _all(api, calls):
        for _ in api.all(calls):
            pass

    def _create(self, api):
        api.call("ecs", "CreateCluster", clusterName=CLUSTER)
        api.call("ecs", "RegisterTaskDefinition", family="any", containerDefinitions=[
            {"name": "app", "image": "none", "portMappings": [
                {"name": f"p{n}", "containerPort": FIRST_PORT + n, "appProtocol": "http2"} for n in range(AT_ONCE)]}])
        for first in range(0, self.services, AT_ONCE):
            names = [name_of(n) for n in range(first, min(first + AT_ONCE, self.services))]
            api.call("ecs", "CreateService", cluster=CLUSTER, serviceName=f"from-{names[0]}", taskDefinition="any", desiredCount=0,
                     serviceConnectConfiguration={"enabled": True, "namespace": NAMESPACE, "services": [
                         {"portName": f"p{n}", "discoveryName": name, "clientAliases": [{"port": ALIAS_PORT, "dnsName": name}]}
                         for n, name in enumerate(names)]})
        token, found = {}, {}
        while token is not None:
            page = api.call("servicediscovery", "ListServices", MaxResults=100, **token)
            found.update((service["Name"], service["Id"]) for service in page["Services"])
            token = {"NextToken": page["NextToken"]} if page.get("NextToken") else None
        self.ids = [found[name_of(n)] for n in range(self.services)]

    def wait_followed(self, seconds=10):
        wait_until(lambda: all(s["current"] for s in self.host.causeway_json("status")["sinks"]), seconds, "all sinks are current")
