"""Two network namespaces on one machine, joined by a veth pair: clients and proxies in one, the endpoint in the other."""
import contextlib
import pathlib
import signal
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests/e2e"))

from causeway_host import BIN, Host  # noqa: E402,F401
from support.sandbox import Sandbox  # noqa: E402

# 198.18.0.0/15 is set aside for measurements (RFC 2544).
CLIENT_ADDRESS, SERVER_ADDRESS = "198.18.0.1", "198.18.0.2"
HTTP_PORT, TCP_PORT = 80, 81

# Equal for every peer. Connections that last one request would else use up ports or conntrack's table within a round.
SETTINGS = {
    "net.ipv4.ip_local_port_range": "1024 65535",
    "net.ipv4.tcp_tw_reuse": "1",
    "net.core.somaxconn": "4096",
    "net.ipv4.tcp_max_syn_backlog": "4096",
}
CONNTRACK_TIME_WAIT = ("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "5")


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP came: everything is taken down."""


class Signals:
    """Turns signals that end a program into Interrupted, but not in the middle of making or removing what must be removed."""

    def __init__(self):
        self._held = 0
        self._came = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._arrived)

    def _arrived(self, number, _frame):
        self._came = number
        if not self._held:
            raise Interrupted(number)

    @contextlib.contextmanager
    def held(self):
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._came is not None and not self._held:
            raise Interrupted(self._came)

    def ignore(self):
        self._held += 1


class Topology:
    """`host` is the client's side with an agent that is not started; `server` the endpoint's."""

    def __init__(self, workers):
        with contextlib.ExitStack() as undo:
            self.host = Host({"proxy": {"workers": workers}})
            undo.callback(self.host.close)
            self.client = self.host.sandbox
            self.server = Sandbox()
            undo.callback(self.server.close)
            self._join()
            self._undo = undo.pop_all()

    def _join(self):
        ip = ["ip", "-n", self.client.name]
        self._run(*ip, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", self.server.name)
        for sandbox, address in ((self.client, CLIENT_ADDRESS), (self.server, SERVER_ADDRESS)):
            self._run("ip", "-n", sandbox.name, "address", "add", f"{address}/24", "dev", "wire")
            self._run("ip", "-n", sandbox.name, "link", "set", "wire", "up")
            for key, value in SETTINGS.items():
                self.set(sandbox, key, value)
        # What is dialled behind iptables is an address of nobody.
        self._run(*ip, "route", "add", "default", "via", SERVER_ADDRESS)

    @staticmethod
    def _run(*arguments):
        subprocess.run(arguments, check=True)

    @staticmethod
    def set(sandbox, key, value):
        with sandbox.inside():
            pathlib.Path("/proc/sys", *key.split(".")).write_text(value)

    def bystander(self):
        """A cgroup that no agent looks at: for everything that has nothing to do with Causeway, in either namespace."""
        return self.server.clients

    def iptables(self, *arguments):
        self.client.run(["iptables", "-w", *arguments], cgroup=self.bystander())

    @contextlib.contextmanager
    def redirected(self, rules):
        """Takes each (address, port) to its target, only meanwhile: rules would cost the others their part of conntrack."""
        try:
            for (address, port), target in rules.items():
                self.iptables("-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", address, "--dport", port, "-j", *target)
            if rules:
                self.set(self.client, *CONNTRACK_TIME_WAIT)
            yield
        finally:
            if rules:
                self.iptables("-t", "nat", "-F")
                self.iptables("-t", "nat", "-X")

    def tracked_connections(self):
        """Entries in the client side's conntrack table; 0 where the kernel has none loaded."""
        with self.client.inside(), contextlib.suppress(FileNotFoundError):
            return int(pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())
        return 0

    def close(self):
        self._undo.close()
