"""The hosts of the scale run: each table of services on an agent of its own, the same one as iptables rules, one server behind all."""
import contextlib
import itertools
import json
import pathlib
import random
import subprocess
import time

from support.sandbox import Sandbox, wait_until

import measure
import topology
from table import ALIAS_PORT, Table, name_of

DIAL = topology.BIN / "bench_dial"
THREADS = 2
# As for the other comparisons: timestamps are offset by the address that was dialled, so that DNAT needs a port of its own.
PORT, DNAT_PORT, KEEPING_PORT = 8080, 8082, 8081
FIRST_ENDPOINT, FIRST_VIRTUAL = 10 << 24, (198 << 24) + (19 << 16)
LOAD_LIMIT = 60  # seconds for iptables-restore

_wires = itertools.count()


def dotted(number):
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def endpoint(number):
    """The address of the table's endpoint of that number: 10.0.0.1 is the first; none ends in 0 or 255."""
    return dotted(FIRST_ENDPOINT + number // 250 * 256 + number % 250 + 1)


def virtual(service):
    return dotted(FIRST_VIRTUAL + service + 1)


class Server:
    """Accepts on every address below 10/8."""

    def __init__(self):
        self.sandbox = Sandbox()
        self.directory = pathlib.Path(self.sandbox.directory)
        subprocess.run(["ip", "-n", self.sandbox.name, "route", "add", "local", "10.0.0.0/8", "dev", "lo"], check=True)
        for key, value in {**topology.SETTINGS, "net.ipv4.tcp_max_tw_buckets": "0"}.items():
            topology.Topology.set(self.sandbox, key, value)
        self.process = self.sandbox.popen([DIAL, "serve", KEEPING_PORT, PORT, DNAT_PORT], stdin=subprocess.DEVNULL,
                                          stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "listening\n":
            raise AssertionError("the server does not listen")

    def accepted(self):
        """Connections taken since the start, by the kernel's count."""
        with self.sandbox.inside(), open("/proc/net/snmp") as snmp:
            names, values = [line.split() for line in snmp if line.startswith("Tcp:")]
        return int(values[names.index("PassiveOpens")])

    def join(self, sandbox):
        """A wire from the sandbox to the server, as its way to all endpoints."""
        number = next(_wires)
        wire = f"wire{number}"
        subprocess.run(["ip", "-n", sandbox.name, "link", "add", wire, "type", "veth", "peer", "name", wire, "netns", self.sandbox.name],
                       check=True)
        for side, last in ((sandbox, 1), (self.sandbox, 2)):
            subprocess.run(["ip", "-n", side.name, "address", "add", f"198.18.{number}.{last}/24", "dev", wire], check=True)
            subprocess.run(["ip", "-n", side.name, "link", "set", wire, "up"], check=True)
        subprocess.run(["ip", "-n", sandbox.name, "route", "add", "default", "via", f"198.18.{number}.2"], check=True)
        for key, value in topology.SETTINGS.items():
            topology.Topology.set(sandbox, key, value)

    def close(self):
        self.sandbox.close()


def _dial(sandbox, cgroup, targets, seconds, seed):
    process = sandbox.popen([DIAL, "load", seconds, THREADS, seed], cgroup=cgroup, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    out, err = process.communicate("\n".join(targets) + "\n", timeout=seconds + 60)
    if process.returncode != 0:
        raise measure.CheckFailed(f"bench_dial ended with {process.returncode}: {err}")
    return json.loads(out)


class Way:
    """One way to dial one table."""

    def __init__(self, name, table, sandbox, cgroup, targets):
        self.name = name
        self.table = table
        self.sandbox = sandbox
        self.cgroup = cgroup
        self.targets = targets

    def dial(self, seconds, seed):
        return _dial(self.sandbox, self.cgroup, self.targets, seconds, seed)

    def counted(self):
        """Connections that Causeway counted; None where it has no part in them."""
        return None

    def tracked(self):
        with self.sandbox.inside(), contextlib.suppress(FileNotFoundError):
            return int(pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())
        return 0


class KernelWay(Way):
    def __init__(self, host, table, targets):
        super().__init__("causeway-kernel", table, host.sandbox, host.sandbox.clients, targets)
        self._host = host

    def counted(self):
        return self._host.metric("causeway_connections_opened_total", path="kernel")


class TableHost:
    """A table of (services, endpoints) on an agent of its own."""

    def __init__(self, size, server):
        self.services, self.endpoints = size
        self.name = f"{self.services}x{self.endpoints}"
        self.host = topology.Host({"defaults": {"path": "kernel"}, "proxy": {"workers": THREADS}})
        self.sandbox = self.host.sandbox
        server.join(self.sandbox)
        self.table = Table(self.host, self.services)

    def describe(self):
        self.host.start()
        self.table.describe([(endpoint(n), PORT) for n in range(self.endpoints)])
        direct = [f"{endpoint(n)}:{PORT}" for n in range(self.endpoints)]
        self.ways = [Way("direct", self, self.sandbox, self.sandbox.cgroup, direct),
                     KernelWay(self.host, self, [f"{address}:{ALIAS_PORT}" for address in self._aliases()]),
                     Way("direct-again", self, self.sandbox, self.sandbox.cgroup, direct)]

    def _aliases(self):
        """Every service's address, by its name."""
        wanted = {name_of(n) for n in range(self.services)}
        found = [alias["vip4"] for service in self.host.causeway_json("services")["services"]
                 for alias in service["aliases"] if alias["name"] in wanted]
        assert len(found) == self.services, f"{len(found)} aliases of {self.services}"
        return found

    def close(self):
        self.host.close()


class RulesHost:
    """The same table as rules of iptables, as kube-proxy makes them: a chain a service, from which `statistic` draws the endpoint."""

    def __init__(self, size, server):
        self.services, self.endpoints = size
        self.name = f"{self.services}x{self.endpoints}"
        self.sandbox = Sandbox()
        server.join(self.sandbox)
        self.seconds = None
        self.ways = []

    def _rules(self):
        yield "*nat"
        for service in range(self.services):
            yield f":SVC-{service} - [0:0]"
        for service in range(self.services):
            yield f"-A OUTPUT -d {virtual(service)}/32 -p tcp -m tcp --dport {ALIAS_PORT} -j SVC-{service}"
            own = range(service, self.endpoints, self.services)
            for left, number in zip(range(len(own), 0, -1), own):
                drawn = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
                yield f"-A SVC-{service} -p tcp {drawn}-j DNAT --to-destination {endpoint(number)}:{DNAT_PORT}"
        yield "COMMIT"

    def describe(self):
        """False: not loaded within LOAD_LIMIT."""
        rules = self.sandbox.directory + "/rules"
        pathlib.Path(rules).write_text("\n".join(self._rules()) + "\n")
        start = time.monotonic()
        with open(rules) as text:
            process = self.sandbox.popen(["iptables-restore", "-w"], cgroup=self.sandbox.cgroup, stdin=text, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
            try:
                _, err = process.communicate(timeout=LOAD_LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return False
        if process.returncode != 0:
            raise AssertionError(f"iptables-restore: {err[-500:]}")
        self.seconds = time.monotonic() - start
        topology.Topology.set(self.sandbox, *topology.CONNTRACK_TIME_WAIT)
        self.ways = [Way("dnat", self, self.sandbox, self.sandbox.cgroup,
                         [f"{virtual(service)}:{ALIAS_PORT}" for service in range(self.services)])]
        return True

    def close(self):
        self.sandbox.close()
