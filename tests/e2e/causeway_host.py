"""A host that runs Causeway: a sandbox with an agent of its own, and what tests do with it."""
import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import unittest
import urllib.request

from support import sigv4
from support.sandbox import Sandbox, wait_until

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CAUSEWAY_BIN", TOP / "build/release/bin"))
PYTHON_CLIENTS = pathlib.Path(os.environ.get("CAUSEWAY_PYTHON_CLIENTS", TOP / "build/python-clients"))
SERVER = TOP / "examples/user-service/server.py"
LOAD = TOP / "tests/e2e/support/load.py"

API = ("127.0.0.1", 7070)
ADMIN = "http://127.0.0.1:7071"
READY_SECONDS = 30


class Host:
    """The agent is not started yet: start() does, so that a test can write a configuration first."""

    def __init__(self, settings=None, launcher=()):
        self.launcher = launcher  # a command that becomes the agent
        self.sandbox = Sandbox()
        self.directory = pathlib.Path(self.sandbox.directory)
        self.pin_root = f"/sys/fs/bpf/{self.sandbox.name}"
        self.config = self.directory / "causeway.toml"
        self.log = self.directory / "agent.log"
        self.agent = None
        self.credentials = None
        tables = {
            "paths": {"data_dir": str(self.directory / "data"), "run_dir": str(self.directory / "run"), "pin_root": self.pin_root},
            "cgroup": {"subtree": f"{self.sandbox.name}/causeway", "attach": self.sandbox.cgroup},
            "proxy": {"workers": 2, "drain_seconds": 5},
            "defaults": {"drain_timeout": "5s"},
        }
        for table, keys in (settings or {}).items():
            tables.setdefault(table, {}).update(keys)
        self.write_config(tables)

    def write_config(self, tables):
        # A JSON string, number, boolean or list of those is TOML as well.
        self.config.write_text("".join(
            f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()) + "\n"
            for table, keys in tables.items()))

    # -- the agent's life

    def launch(self, *arguments):
        """Starts causewayd without waiting for anything, outside the cgroup that it attaches to."""
        with open(self.log, "a") as log:
            self.agent = self.sandbox.popen([*self.launcher, BIN / "causewayd", "--config", self.config, *arguments],
                                            cgroup=self.sandbox.cgroup, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self.agent

    def start(self):
        self.launch()
        wait_until(lambda: self.is_ready() or self.agent.poll() is not None, READY_SECONDS,
                   lambda: "/readyz answers 200; the log:\n" + self.log_tail())
        if self.agent.poll() is not None:
            raise AssertionError(f"causewayd ended with {self.agent.returncode}:\n{self.log_tail()}")
        self.credentials = self.read_credentials()
        return self

    def is_ready(self):
        return self.admin("/readyz")[0] == 200

    def log_tail(self, lines=30):
        return "\n".join(self.log.read_text().splitlines()[-lines:]) if self.log.exists() else "(no log)"

    def stop(self):
        """A clean stop: SIGTERM, exit status 0, and nothing of it left."""
        if self.agent is None:
            return
        if self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            try:
                self.agent.wait(30)
            except subprocess.TimeoutExpired:
                raise AssertionError("causewayd does not end on SIGTERM:\n" + self.log_tail()) from None
        if self.agent.returncode != 0:
            raise AssertionError(f"causewayd ended with {self.agent.returncode}:\n{self.log_tail()}")
        self.agent = None
        self.assert_nothing_attached()

    def kill_agent(self):
        """kill -9: what it attached and its proxy stay."""
        self.agent.kill()
        self.agent.wait()
        self.agent = None

    def proxy_pids(self):
        found = []
        for pid in self.sandbox.processes():
            with contextlib.suppress(OSError):
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")).startswith("causeway-proxy"):
                    found.append(pid)
        return found

    def proxy_pid(self):
        return wait_until(lambda: self.proxy_pids(), 5, "a causeway-proxy runs")[0]

    def attached(self):
        """Programs on this host's cgroups."""
        found = []
        for directory in self.sandbox.cgroup_directories():
            shown = subprocess.run(["bpftool", "-j", "cgroup", "show", directory], capture_output=True, text=True, check=True)
            found += json.loads(shown.stdout.strip() or "[]")
        return found

    def assert_nothing_attached(self):
        left = self.attached()
        assert not left, f"still attached: {left}"
        assert not os.path.exists(self.pin_root), f"still pinned: {os.listdir(self.pin_root)}"
        causeway = self.sandbox.cgroup + "/causeway"
        tasks = [d for d in self.sandbox.cgroup_directories() if d.startswith(causeway + "/tasks/")]
        assert tasks or not os.path.exists(causeway), "the agent's cgroups are still there"

    def close(self):
        try:
            self.stop()
        finally:
            self.sandbox.end_processes()
            if os.path.exists(self.pin_root):
                subprocess.run([BIN / "causeway", *self.socket_options(), "detach"], check=False, capture_output=True)
            self.sandbox.close()

    # -- interfaces

    def admin(self, path):
        """Status and text; (0, "") where nobody listens."""
        with self.sandbox.inside():
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(ADMIN + path, timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()
            except OSError:
                return 0, ""

    def socket_options(self):
        return ["--config", str(self.config)]

    def causeway(self, *arguments, **options):
        return self.sandbox.run([BIN / "causeway", *self.socket_options(), *arguments], **options)

    def causeway_json(self, *arguments):
        return json.loads(self.causeway(*arguments, "--json").stdout)

    def read_credentials(self):
        variables = self.environment()
        return {"key": variables["AWS_ACCESS_KEY_ID"], "secret": variables["AWS_SECRET_ACCESS_KEY"],
                "region": variables["AWS_DEFAULT_REGION"]}

    def environment(self):
        """What `causeway env` sets."""
        variables = {}
        for line in self.causeway("env").stdout.splitlines():
            for word in shlex.split(line, comments=True):
                name, equals, value = word.partition("=")
                if equals:
                    variables[name] = value
        return variables

    def call(self, service, operation, /, **parameters):
        with self.sandbox.inside():
            return sigv4.call(API, service, operation, parameters, **self.credentials)

    def cloud_map(self, operation, /, **parameters):
        return self.call("servicediscovery", operation, **parameters)

    def ecs(self, operation, /, **parameters):
        return self.call("ecs", operation, **parameters)

    def finished(self, answer):
        """Waits for the operation of this answer to succeed; returns its targets."""
        operation = wait_until(
            lambda: (o := self.cloud_map("GetOperation", OperationId=answer["OperationId"])["Operation"])
            and o["Status"] in ("SUCCESS", "FAIL") and o, 10, "the operation ends")
        assert operation["Status"] == "SUCCESS", operation
        return operation["Targets"]

    def metrics(self):
        """Samples of /metrics: {(name, ((label, value), ...)): number}."""
        samples = {}
        for line in self.admin("/metrics")[1].splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and not line.startswith("#"):
                labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")))
                samples[match[1], labels] = float(match[3])
        return samples

    def metric(self, name, **labels):
        """Sum over the samples that have these labels."""
        wanted = set(labels.items())
        return sum(v for (n, have), v in self.metrics().items() if n == name and wanted <= set(have))

    # -- services and tasks

    def namespace(self, name="myapp.local", dns=True):
        if dns:
            answer = self.cloud_map("CreatePrivateDnsNamespace", Name=name, Vpc="vpc-abc123")
        else:
            answer = self.cloud_map("CreateHttpNamespace", Name=name)
        return self.finished(answer)["NAMESPACE"]

    def connected_service(self, name, *, namespace="myapp.local", port=3000, alias_port=80, dns_name=None,
                          discovery_name=None, cluster="production", protocol=None, stop_timeout=5):
        """An ECS service whose tasks listen on `port`, reachable through Service Connect; cluster and family are made too."""
        self.ecs("CreateCluster", clusterName=cluster)
        mapping = {"name": "http", "containerPort": port, "protocol": "tcp"}
        if protocol:
            mapping["appProtocol"] = protocol
        self.ecs("RegisterTaskDefinition", family=name, containerDefinitions=[
            {"name": "app", "image": "none", "stopTimeout": stop_timeout, "portMappings": [mapping]}])
        alias = {"port": alias_port}
        if dns_name:
            alias["dnsName"] = dns_name
        return self.ecs("CreateService", cluster=cluster, serviceName=name, taskDefinition=name, desiredCount=1,
                        serviceConnectConfiguration={"enabled": True, "namespace": namespace, "services": [
                            {"portName": "http", "discoveryName": discovery_name or name, "clientAliases": [alias]}]})["service"]

    def client_service(self, name, *, namespace="myapp.local", cluster="production"):
        """A client-only service: its tasks call others and cannot be found."""
        self.ecs("CreateCluster", clusterName=cluster)
        self.ecs("RegisterTaskDefinition", family=name, containerDefinitions=[{"name": "app", "image": "none"}])
        return self.ecs("CreateService", cluster=cluster, serviceName=name, taskDefinition=name, desiredCount=1,
                        serviceConnectConfiguration={"enabled": True, "namespace": namespace})["service"]

    def task_command(self, service, arguments, *, cluster="production", options=()):
        return [BIN / "causeway", *self.socket_options(), "run", "--cluster", cluster, "--service", service, *options, "--",
                *arguments]

    def start_task(self, service, arguments=("python3", str(SERVER)), *, cluster="production", options=(), **popen_options):
        """Starts a task; the process is the program itself, because `causeway run` execs it."""
        popen_options.setdefault("stdin", subprocess.DEVNULL)
        return self.sandbox.popen(self.task_command(service, arguments, cluster=cluster, options=options), **popen_options)

    def task_processes(self):
        """Everything that runs in the cgroup of a task."""
        found = []
        for directory in self.sandbox.cgroup_directories():
            if "/causeway/tasks/" in directory:
                with contextlib.suppress(OSError), open(directory + "/cgroup.procs") as procs:
                    found += [int(pid) for pid in procs.read().split()]
        return found

    def end_tasks(self):
        for pid in self.task_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def run_in_task(self, service, arguments, *, cluster="production", options=(), **run_options):
        """Runs a program to its end as a task."""
        return self.sandbox.run(self.task_command(service, arguments, cluster=cluster, options=options), **run_options)

    def instances(self, discovery_name, namespace="myapp.local", health="HEALTHY"):
        with contextlib.suppress(sigv4.ApiError):
            return self.cloud_map("DiscoverInstances", NamespaceName=namespace, ServiceName=discovery_name,
                                  HealthStatus=health)["Instances"]
        return []

    def wait_healthy(self, discovery_name, count, namespace="myapp.local"):
        """Until the API tells of so many, and the data path acts on it."""
        found = wait_until(lambda: (found := self.instances(discovery_name, namespace)) and len(found) == count and found, 15,
                           lambda: f"{count} healthy instances of {discovery_name}, there are "
                                   f"{self.instances(discovery_name, namespace, 'ALL')}\n{self.log_tail()}")
        self.wait_applied()
        return found

    def wait_applied(self):
        """Until every part of the data path acts on what the API tells by now."""
        wait_until(lambda: all(s["current"] for s in self.causeway_json("status")["sinks"]), 10, "all sinks are current")

    def get(self, url, *arguments, timeout=10):
        """curl as a process of the host that belongs to no task; its text."""
        return self.sandbox.run(["curl", "-sS", "-f", "--noproxy", "*", "-m", timeout, *arguments, url]).stdout

    def load(self, url, **options):
        """Starts load.py; finish_load() gives its counts."""
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        process = self.sandbox.popen(["python3", LOAD, url, *arguments], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "started\n"
        return process

    def finish_load(self, process, *, stop=False, timeout=300):
        if stop:
            process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=timeout)
        return json.loads(out)


class HostTest(unittest.TestCase):
    """A test case with one started host for all its tests; each test leaves it as it found it."""

    settings = None
    launcher = ()

    @classmethod
    def setUpClass(cls):
        cls.host = Host(cls.settings, cls.launcher)
        cls.addClassCleanup(cls.host.close)
        cls.host.start()
        cls.describe()

    @classmethod
    def describe(cls):
        """Overridden: what all tests of the class need."""


class HostPerTest(unittest.TestCase):
    """A test case with a started host for each test."""

    settings = None

    def setUp(self):
        self.host = Host(self.settings)
        self.addCleanup(self.host.close)
        self.host.start()
        self.describe()

    def describe(self):
        """Overridden: what each test needs."""
