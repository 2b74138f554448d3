"""What carries the connections: nothing, Causeway, or a stock proxy behind iptables. Each tells where to dial and what it counted."""
import contextlib
import csv
import io
import json
import os
import pathlib
import socket
import subprocess
import urllib.request

from support.sandbox import wait_until

import envoy_config
import haproxy_config
from endpoint import DNAT_PORT, PORT
from topology import BIN, HTTP_PORT, SERVER_ADDRESS, TCP_PORT

WORKERS = min(os.cpu_count(), 4)  # what Causeway takes by itself
NAMES = ("causeway", "causeway-kernel", "haproxy", "haproxy-splice", "envoy", "dnat", "direct-again")
WITHOUT_PROXY = ("causeway-kernel", "dnat", "direct-again")  # they carry connections of TCP, and take no part in what these say


class Peer:
    """Started for a case and stopped after it. `cgroup` is where its clients run."""

    def __init__(self, name, topology):
        self.name = name
        self.topology = topology
        self.client = topology.client
        self.directory = pathlib.Path(self.client.directory)
        self.cgroup = topology.bystander()
        self.process = None

    def start(self):
        pass

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pids(self):
        return [self.process.pid] if self.process else []

    def target(self, protocol):
        """The address and port that clients dial."""
        raise NotImplementedError

    def redirects(self, _protocol):
        """What iptables has to take where: {(address, port): its target and the target's options}."""
        return {}

    def counts(self, protocol):
        """Answers with 2xx (HTTP alone), connections and bytes sent to clients since its start, by its own counters; None without."""
        raise NotImplementedError

    def _launch(self, arguments, is_up):
        log = self.directory / f"{self.name}.log"
        with open(log, "w") as out:
            self.process = self.client.popen(arguments, cgroup=self.topology.bystander(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_until(lambda: is_up() or self.process.poll() is not None, 20, lambda: f"{self.name} is up: {log.read_text()}")
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}: {log.read_text()}")


class Direct(Peer):
    """direct-again is a second one: how far they lie apart is the measure of noise."""

    def target(self, protocol):
        return SERVER_ADDRESS, PORT

    def counts(self, protocol):
        return None


class Dnat(Direct):
    """An iptables rule takes the address straight to the endpoint."""

    def target(self, protocol):
        return "198.18.1.4", TCP_PORT

    def redirects(self, protocol):
        return {self.target(protocol): ("DNAT", "--to-destination", f"{SERVER_ADDRESS}:{DNAT_PORT}")}


class Agent:
    """The real agent and its proxy, described over its AWS API: one for all ways through it, as a host has one."""

    # A port of appProtocol http2 is relayed as TCP.
    SERVICES = {"http": ("bench-http", HTTP_PORT, "http"), "tcp": ("bench-tcp", TCP_PORT, "http2"), "kernel": ("bench-kernel", TCP_PORT, "http2")}

    def __init__(self, topology):
        self.host = topology.host
        self.client = topology.client
        self.users = 0
        self.addresses = {}

    def start(self):
        self.users += 1
        if self.users > 1:
            return
        self.host.start()
        if not self.addresses:
            self._describe()
        for service, _, _ in self.SERVICES.values():
            self.host.wait_healthy(service, 1)

    def stop(self):
        self.users -= 1
        if not self.users:
            self.host.stop()


    def _describe(self):
        self.host.namespace()
        for service, alias_port, app_protocol in self.SERVICES.values():
            self.host.connected_service(service, dns_name=service, alias_port=alias_port, port=PORT, protocol=app_protocol)
        self.host.causeway("set", f"myapp.local/{self.SERVICES['kernel'][0]}", "path=kernel")
        for service in self.host.cloud_map("ListServices")["Services"]:
            self.host.cloud_map("RegisterInstance", ServiceId=service["Id"], InstanceId="endpoint", Attributes={
                "AWS_INSTANCE_IPV4": SERVER_ADDRESS, "AWS_INSTANCE_PORT": str(PORT)})
        for protocol, (service, _, _) in self.SERVICES.items():
            # A name is answered once the proxy has it, which under callgrind takes a while.
            self.addresses[protocol] = wait_until(lambda: self._lookup(service), 20, f"{service} is found by its name")

    def _lookup(self, service):
        found = self.client.run(["getent", "ahostsv4", service], check=False).stdout.split()
        return found[0] if found else None


class Causeway(Peer):
    """Through the proxy."""

    def __init__(self, name, topology):
        super().__init__(name, topology)
        self.agent = agent_of(topology)
        self.host = topology.host
        self.cgroup = self.client.clients

    def start(self):
        self.agent.start()

    def stop(self):
        self.agent.stop()

    def pids(self):
        return [self.host.agent.pid, self.host.proxy_pid()]

    def service(self, protocol):
        """Its key in Agent.SERVICES."""
        return protocol

    def target(self, protocol):
        return self.agent.addresses[self.service(protocol)], self.agent.SERVICES[self.service(protocol)][1]

    def counts(self, protocol):
        labels = {"discovery_name": self.agent.SERVICES[self.service(protocol)][0]}
        return {"requests": self.host.metric("causeway_requests_total", code="2xx", **labels),
                "connections": self.host.metric("causeway_connections_opened_total", **labels),
                "bytes": self.host.metric("causeway_bytes_received_total", **labels)}


class CausewayKernel(Causeway):
    """On the kernel path: the agent runs, but no byte passes its proxy."""

    def service(self, protocol):
        return "kernel"


def agent_of(topology):
    if not hasattr(topology, "agent"):
        topology.agent = Agent(topology)
    return topology.agent


class Redirected(Peer):
    """A stock proxy to which iptables takes a virtual address of its own."""

    ADDRESSES = {"haproxy": "198.18.1.1", "haproxy-splice": "198.18.1.2", "envoy": "198.18.1.3"}
    LOCAL_PORTS = {"http": 15011, "tcp": 15012}
    PORTS = {"http": HTTP_PORT, "tcp": TCP_PORT}

    def __init__(self, name, topology):
        super().__init__(name, topology)
        # Each its own ports, as all run during a case.
        self.local = {protocol: port + 10 * list(self.ADDRESSES).index(name) for protocol, port in self.LOCAL_PORTS.items()}

    def redirects(self, protocol):
        return {self.target(protocol): ("REDIRECT", "--to-ports", self.local[protocol])}

    def target(self, protocol):
        return self.ADDRESSES[self.name], self.PORTS[protocol]


class Haproxy(Redirected):
    def __init__(self, name, topology):
        super().__init__(name, topology)
        self.socket = str(self.directory / f"{name}.sock")

    def start(self):
        config = self.directory / f"{self.name}.cfg"
        config.write_text(haproxy_config.text(workers=WORKERS, socket=self.socket, splice=self.name == "haproxy-splice", ports=self.local))
        self._launch(["haproxy", "-db", "-f", config], self._is_up)

    def _is_up(self):
        with contextlib.suppress(OSError):
            return self.counts("http")

    def counts(self, protocol):
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(5)
            admin.connect(self.socket)
            admin.sendall(b"show stat\n")
            text = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        for row in csv.DictReader(io.StringIO(text.removeprefix("# "))):
            if (row["pxname"], row["svname"]) == (protocol, "FRONTEND"):
                return {"requests": int(row["hrsp_2xx"] or 0), "connections": int(row["stot"]), "bytes": int(row["bout"])}
        raise AssertionError(f"haproxy's statistics have no frontend {protocol}: {text}")


class Envoy(Redirected):
    """The binary is set by whoever had it fetched (tools/envoy)."""

    executable = None

    def start(self):
        config = self.directory / "envoy.json"
        config.write_text(json.dumps(envoy_config.tree(self.local)))
        self._launch([self.executable, "-c", config, "--concurrency", WORKERS, "--disable-hot-restart", "--log-level", "error"], self._is_up)

    def _admin(self, path):
        with self.client.inside():
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://127.0.0.1:{envoy_config.ADMIN_PORT}{path}", timeout=5) as answer:
                return answer.read().decode()

    def _is_up(self):
        with contextlib.suppress(OSError):
            return self._admin("/ready").strip() == "LIVE"

    def counts(self, protocol):
        lines = self._admin(f"/stats?filter=^{protocol}\\.{envoy_config.PREFIX}").splitlines()
        values = {name.rsplit(".", 1)[1]: int(value) for name, _, value in (line.partition(": ") for line in lines) if value.isdigit()}
        return {"requests": values.get("downstream_rq_2xx", 0), "connections": values.get("downstream_cx_total", 0),
                "bytes": values.get("downstream_cx_tx_bytes_total", 0)}


KINDS = {"direct": Direct, "direct-again": Direct, "dnat": Dnat, "causeway": Causeway, "causeway-kernel": CausewayKernel, "haproxy": Haproxy, "haproxy-splice": Haproxy, "envoy": Envoy}


def make(name, topology):
    return KINDS[name](name, topology)


def versions(names):
    """One line each: what exactly is compared."""
    commands = {"causeway": [BIN / "causewayd", "--version"], "haproxy": ["haproxy", "-v"], "haproxy-splice": ["haproxy", "-v"],
                "envoy": [Envoy.executable, "--version"]}
    lines = {}
    for name in names:
        if name in commands:
            shown = subprocess.run(commands[name], capture_output=True, text=True, check=False)
            lines[name] = next((line.strip() for line in (shown.stdout + shown.stderr).splitlines() if line.strip()), "unknown")
    return lines
