"""A table of services and endpoints, described over the agent's own API."""
import contextlib
import json
import random
import sqlite3
import time

from support.sandbox import wait_until

from quick_api import QuickApi

CLUSTER, NAMESPACE, ALIAS_PORT = "production", "myapp.local", 80
FIRST_PORT, AT_ONCE = 3000, 100  # discovery names that one ECS service describes
BY_API = 1000  # endpoints of a service that are registered over the API


def _attributes(address, port):
    return {"AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": str(port)}


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
            registered = endpoints[:BY_API * self.services]
            with self._timed("RegisterInstance", len(registered)):
                self._all(api, (("servicediscovery", "RegisterInstance", {
                    "ServiceId": self.ids[n % self.services], "InstanceId": f"i-{n}", "Attributes": _attributes(*of)})
                    for n, of in enumerate(registered)))
        if len(registered) < len(endpoints):
            self._write(len(registered), endpoints[len(registered):])
        self.wait_followed(60)

    def _write(self, first, endpoints):
        """Straight into the store of the agent, which is stopped meanwhile: each registration costs in proportion to its service."""
        self.host.stop()
        with contextlib.closing(sqlite3.connect(self.host.directory / "data/causeway.db")) as store, store:
            key, value = store.execute("SELECT key, value FROM entries WHERE key LIKE '/instances/%/i-0'").fetchone()
            counters = {name: int(last) for name, last in store.execute("SELECT key, value FROM entries WHERE key LIKE '/counters/%'")}
            like, number = json.loads(value), counters["/counters/endpoint"]
            for n, of in enumerate(endpoints, first):
                number += 1
                service = self.ids[n % self.services]
                record = {**like, "Id": f"i-{n}", "ServiceId": service, "Attributes": _attributes(*of), "Number": number}
                store.execute("INSERT INTO entries VALUES (?, ?, (SELECT value FROM numbers WHERE name = 'revision'))",
                              (f"/instances/{service}/i-{n}", json.dumps(record).encode()))
            store.execute("UPDATE entries SET value = ? WHERE key = '/counters/endpoint'", (str(number).encode(),))
        self.host.start()

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

    def change_times(self, count, address, port):
        """Milliseconds from the sending of register-instance to the answer, and to its operation's success: every part of the data path, the
        kernel's maps among them, acts on it then. Of so many random services, one after the other."""
        answered, followed = [], []
        draw = random.Random(1)
        with contextlib.closing(QuickApi(self.host)) as api:
            for n in range(count):
                instance = {"ServiceId": draw.choice(self.ids), "InstanceId": f"changed-{n}"}
                start = time.monotonic()
                operation = api.call("servicediscovery", "RegisterInstance", **instance, Attributes=_attributes(address, port))["OperationId"]
                answered.append((time.monotonic() - start) * 1000)
                while self._status(api, operation) != "SUCCESS":
                    if time.monotonic() > start + 30:
                        raise AssertionError(f"the data path does not follow within 30 s: {self.host.log_tail()}")
                followed.append((time.monotonic() - start) * 1000)
                operation = api.call("servicediscovery", "DeregisterInstance", **instance)["OperationId"]
                wait_until(lambda: self._status(api, operation) == "SUCCESS", 30, "the instance is deregistered")
        return answered, followed

    @staticmethod
    def _status(api, operation):
        return api.call("servicediscovery", "GetOperation", OperationId=operation)["Operation"]["Status"]

    def wait_followed(self, seconds=10):
        wait_until(lambda: all(s["current"] for s in self.host.causeway_json("status")["sinks"]), seconds, "all sinks are current")
