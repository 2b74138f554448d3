"""Prints what the agent costs and how fast it follows, beside what is aimed at. Run it by tools/bench, as root."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/e2e"))

from causeway_host import Host  # noqa: E402
from support.sandbox import wait_until  # noqa: E402

SERVICES, ENDPOINTS, ROUNDS = 100, 10, 20


def row(what, figure, aim):
    print(f"{what:<66} {figure:>22}   {aim}", flush=True)


def spread(values):
    values = sorted(values)
    return f"{statistics.median(values):.1f} ms, worst {values[-1]:.1f}"


def pss_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024


def both_pss(host):
    return pss_mib(host.agent.pid), pss_mib(host.proxy_pid())


def ready_ms(host):
    start = time.monotonic()
    host.launch()
    wait_until(host.is_ready, 10, "the agent is ready")
    elapsed = (time.monotonic() - start) * 1000
    host.credentials = host.credentials or host.read_credentials()
    return elapsed


class LocalApi:
    """The agent's socket over one kept connection: about as quick to ask as a system call."""

    def __init__(self, host):
        self.connection = http.client.HTTPConnection("agent")
        self.connection.sock = socket.socket(socket.AF_UNIX)
        self.connection.sock.connect(str(host.directory / "run/agent.sock"))

    def status(self):
        self.connection.request("GET", "/v1/status", headers={"Host": "agent"})
        return json.load(self.connection.getresponse())

    def followed(self, endpoints):
        """Every part of the data path acts on a revision with that many endpoints."""
        status = self.status()
        return status["endpoints"] == endpoints and all(sink["current"] for sink in status["sinks"])

    def wait_ms(self, start, endpoints):
        deadline = start + 10
        while not self.followed(endpoints):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within 10 s {endpoints} endpoints: {self.status()}")
        return (time.monotonic() - start) * 1000


def last_connections(host):
    """How long after the call of DeregisterInstance its instance got a connection, dialled one after another without a pause."""
    host.connected_service("leaving", dns_name="leaving")
    host.causeway("set", "myapp.local/leaving", "path=kernel")
    identity = next(s["Id"] for s in host.cloud_map("ListServices")["Services"] if s["Name"] == "leaving")
    alias = next(s for s in host.causeway_json("services")["services"] if s["discovery_name"] == "leaving")["aliases"][0]
    script = ("import socket, sys, time\n"
              "end = time.monotonic() + 1.5\n"
              "while time.monotonic() < end:\n"
              f"    c = socket.create_connection(('{alias['vip4']}', {alias['port']})); c.recv(1); c.close()\n")
    times = []
    with host.sandbox.inside():
        listeners = [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in range(2)]
    arrived = [[], []]

    def serve(listener, into):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                into.append(time.monotonic())
                connection.close()

    threads = [threading.Thread(target=serve, args=each) for each in zip(listeners, arrived)]
    for thread in threads:
        thread.start()

    def register(number):
        host.finished(host.cloud_map("RegisterInstance", ServiceId=identity, InstanceId=f"l-{number}", Attributes={
            "AWS_INSTANCE_IPV4": "127.0.0.1", "AWS_INSTANCE_PORT": str(listeners[number].getsockname()[1])}))

    register(0)
    for _ in range(ROUNDS // 2):
        register(1)
        host.wait_applied()
        with host.sandbox.popen(["python3", "-c", script]) as dialler:
            time.sleep(0.7)
            called = time.monotonic()
            host.cloud_map("DeregisterInstance", ServiceId=identity, InstanceId="l-1")
            dialler.wait()
        times.append(max(0.0, arrived[1][-1] - called) * 1000)
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join()
    return times


def describe_many(host):
    host.namespace()
    host.ecs("CreateCluster", clusterName="production")
    host.ecs("RegisterTaskDefinition", family="any", containerDefinitions=[
        {"name": "app", "image": "none", "portMappings": [{"name": "http", "containerPort": 3000}]}])
    for n in range(SERVICES):
        host.ecs("CreateService", cluster="production", serviceName=f"service-{n}", taskDefinition="any", desiredCount=ENDPOINTS,
                 serviceConnectConfiguration={"enabled": True, "namespace": "myapp.local", "services": [
                     {"portName": "http", "discoveryName": f"service-{n}", "clientAliases": [{"port": 80, "dnsName": f"service-{n}"}]}]})
    token, services = {}, []
    while token is not None:
        page = host.cloud_map("ListServices", MaxResults=100, **token)
        services += page["Services"]
        token = {"NextToken": page["NextToken"]} if page.get("NextToken") else None
    for n, service in enumerate(services):
        for e in range(ENDPOINTS):
            host.cloud_map("RegisterInstance", ServiceId=service["Id"], InstanceId=f"i-{e}", Attributes={
                "AWS_INSTANCE_IPV4": f"127.1.{n}.{e + 1}", "AWS_INSTANCE_PORT": "3000"})
    return services


def load(host):
    """Some traffic, so that memory is not that of an idle proxy."""
    host.connected_service("user-service", dns_name="user-svc")
    task = host.start_task("user-service")
    host.wait_healthy("user-service", 1)
    counts = host.finish_load(host.load("http://user-svc/api/users/1", requests=20_000, connections=32))
    task.terminate()
    task.wait()
    wait_until(lambda: not host.instances("user-service", health="ALL"), 10, "the task is gone")
    return counts


def main():
    print(f"{os.cpu_count()} processors, Linux {os.uname().release}\n")
    row("", "measured", "aimed at")
    host = Host()
    with contextlib.closing(host):
        times = []
        for _ in range(5):
            times.append(ready_ms(host))
            host.stop()
        row("start of causewayd to /readyz, empty store", spread(times), "< 1000 ms")

        ready_ms(host)
        agent, proxy = both_pss(host)
        row("PSS, nothing described: agent + proxy", f"{agent:.1f} + {proxy:.1f} = {agent + proxy:.1f} MiB", "")
        services = describe_many(host)
        api = LocalApi(host)
        total = SERVICES * ENDPOINTS
        api.wait_ms(time.monotonic(), total)
        agent, proxy = both_pss(host)
        row(f"PSS, {SERVICES} services of {ENDPOINTS} endpoints: agent + proxy", f"{agent:.1f} + {proxy:.1f} = {agent + proxy:.1f} MiB", "< 25 MiB")

        times = []
        for n in range(ROUNDS):
            host.cloud_map("RegisterInstance", ServiceId=services[n]["Id"], InstanceId="new", Attributes={
                "AWS_INSTANCE_IPV4": f"127.2.0.{n + 1}", "AWS_INSTANCE_PORT": "3000"})
            times.append(api.wait_ms(time.monotonic(), total + n + 1))
        row("register-instance answered to the data path following it", spread(times), "< 10 ms")

        counts = load(host)
        agent, proxy = both_pss(host)
        row("PSS after 20,000 requests over 32 connections", f"{agent:.1f} + {proxy:.1f} = {agent + proxy:.1f} MiB", "< 25 MiB")
        row("GET through the proxy to a Python server, 32 connections", f"p50 {counts['p50'] * 1000:.1f} p99 {counts['p99'] * 1000:.1f} ms", "")

        row("deregister-instance to the last new connection, kernel path", spread(last_connections(host)), "< 10 ms")

        host.connected_service("ending", dns_name="ending")
        times = []
        base = api.status()["endpoints"]
        for _ in range(ROUNDS // 2):
            task = host.start_task("ending")
            host.wait_healthy("ending", 1)
            api.wait_ms(time.monotonic(), base + 1)
            task.kill()
            start = time.monotonic()
            times.append(api.wait_ms(start, base))
            task.wait()
        row("a task's end (kill -9) to the data path following it", spread(times), "< 10 ms")

        host.stop()
        times = []
        for _ in range(3):
            times.append(ready_ms(host))
            host.stop()
        row(f"start of causewayd to /readyz, {SERVICES} services of {ENDPOINTS} endpoints", spread(times), "< 1000 ms")

    if "--no-quickstart" not in sys.argv:
        run = subprocess.run([TOP / "tools/quickstart", "--once"], capture_output=True, text=True, check=False)
        found = re.search(r"first answered request by name: ([\d.]+) s", run.stdout)
        row("tools/quickstart, built: start to the first answered request", f"{found[1]} s" if found else "failed", "< 10 s")
        if run.returncode != 0:
            sys.exit(run.stdout + run.stderr)


if __name__ == "__main__":
    main()
