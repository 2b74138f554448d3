"""What tests of faults share: endpoints that do as the test says, clients whose every byte it sends, and what the proxy
holds meanwhile."""
import contextlib
import fcntl
import http.client
import os
import re
import select
import socket
import struct
import termios
import threading

from causeway_host import HostTest
from support.dialer import Dialer
from support.sandbox import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def read_request(connection, data=b""):
    """The next request with a body of known length, and what came behind it; (None, b"") at the client's end."""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None, b""
        data += more
    end = data.index(b"\r\n\r\n") + 4
    if length := LENGTH.search(data[:end]):
        end += int(length[1])
    while len(data) < end:
        more = connection.recv(1 << 20)
        if not more:
            return None, b""
        data += more
    return data[:end], data[end:]


def reset(connection):
    """Closes with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    connection.close()


def receive_all(connection):
    """What comes up to the other side's end, and whether that end was a regular one."""
    received = b""
    try:
        while more := connection.recv(1 << 20):
            received += more
    except ConnectionResetError:
        return received, False
    return received, True


def read_exactly(connection, count):
    """So many bytes; fewer where the other side ends before. (MSG_WAITALL does nothing to a socket with a timeout.)"""
    received = b""
    while len(received) < count and (more := connection.recv(count - len(received))):
        received += more
    return received


def told(clients, at_least):
    """Those that have something to read, or have ended: so many of them, or more."""
    poll = select.poll()
    by_fd = {client.fileno(): client for client in clients}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    found = []
    while len(found) < at_least:
        ready = poll.poll(20_000)
        assert ready, f"{len(found)} of {at_least} were told"
        for fd, _ in ready:
            poll.unregister(fd)
            found.append(by_fd[fd])
    return found


def end_sending(connection):
    """Sends FIN, and returns when the other side's kernel has it."""
    connection.shutdown(socket.SHUT_WR)
    wait_until(lambda: struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0] == 0, 10, "FIN is acknowledged")


class Answer:
    """One response from a connection; raises where it is cut or malformed."""

    def __init__(self, connection, method="GET"):
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        self.status, self.headers = response.status, response.headers
        self.body = response.read()


def get(connection, path="/", host="x", more=b""):
    connection.sendall(b"GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (path.encode(), host.encode(), more))
    return Answer(connection)


class FaultTest(HostTest):
    """One host; its namespace is described, and each test describes services of its own."""

    settings = {"defaults": {"connect_timeout": "1s"}}

    @classmethod
    def describe(cls):
        cls.host.namespace()
        cls.dialer = Dialer(cls.host.sandbox)
        cls.addClassCleanup(cls.dialer.close)

    def tearDown(self):
        self.assertIsNone(self.host.agent.poll())
        self.assertEqual(self.host.metric("causeway_proxy_restarts_total"), 0, self.host.log_tail())

    # -- endpoints

    def service(self, name, endpoints, **options):
        """A Service Connect service with these endpoints registered by hand."""
        options.setdefault("dns_name", name)
        self.host.connected_service(name, **options)
        self.register(name, endpoints)

    def register(self, name, endpoints):
        identity = next(s["Id"] for s in self.host.cloud_map("ListServices")["Services"] if s["Name"] == name)
        for number, (address, port) in enumerate(endpoints):
            answer = self.host.cloud_map("RegisterInstance", ServiceId=identity, InstanceId=f"i-{number}", Attributes={
                "AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": str(port)})
            self.host.finished(answer)

    def deregister(self, name, number):
        identity = next(s["Id"] for s in self.host.cloud_map("ListServices")["Services"] if s["Name"] == name)
        self.host.finished(self.host.cloud_map("DeregisterInstance", ServiceId=identity, InstanceId=f"i-{number}"))

    def server(self, behave):
        """A server on a free port of 127.0.0.1; `behave(connection)` has each connection, on a thread of its own."""
        with self.host.sandbox.inside():
            listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        listener.settimeout(None)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=self.one, args=(behave, connection), daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(listener.close)
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)
        return listener.getsockname()

    @staticmethod
    def one(behave, connection):
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            behave(connection)

    @staticmethod
    def ok(connection):
        """Answers every request."""
        request, rest = read_request(connection)
        while request is not None:
            connection.sendall(OK)
            request, rest = read_request(connection, rest)

    def free_port(self):
        """Nobody listens on it, and nobody else is given it."""
        with self.host.sandbox.inside():
            bound = socket.socket()
        self.addCleanup(bound.close)
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()

    # -- clients

    def connect_all(self, name, count, **options):
        connections = self.dialer.dial(name, count=count, **options)
        for connection in connections:
            self.addCleanup(connection.close)
        return connections

    def connect(self, name, **options):
        return self.connect_all(name, 1, **options)[0]

    def wait_opened(self, name, count):
        """Until the proxy has taken that many connections of clients in all."""
        wait_until(lambda: self.host.metric("causeway_connections_opened_total", discovery_name=name) == count, 20,
                   lambda: f"{count} connections to {name} were taken, there are "
                           f"{self.host.metric('causeway_connections_opened_total', discovery_name=name)}")

    def wait_connected(self, name, count):
        """Until that many clients are connected."""
        wait_until(lambda: self.host.metric("causeway_connections_active", discovery_name=name) == count, 20,
                   lambda: f"{count} clients of {name} are connected, there are "
                           f"{self.host.metric('causeway_connections_active', discovery_name=name)}")

    def wait_no_connection(self, name):
        self.wait_connected(name, 0)

    # -- what the proxy holds

    @staticmethod
    def pss(pid):
        """Proportional set size, KiB."""
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))

    def proxy_pss(self):
        return self.pss(self.host.proxy_pid())

    def proxy_descriptors(self):
        return len(os.listdir(f"/proc/{self.host.proxy_pid()}/fd"))

    def proxy_cpu_seconds(self):
        with open(f"/proc/{self.host.proxy_pid()}/stat") as stat:
            user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
