"""Thousands of idle connections: little memory each, all of them usable, nobody held back."""
import resource
import selectors
import socket
import threading

from support.faults import FaultTest, get, read_exactly
from support.nginx import Nginx
from support.sandbox import wait_until

HTTP_COUNT = 10_000
TCP_COUNT = 4_000
#: KiB of proportional set size for each, the kernel's memory for sockets not counted.
PER_CONNECTION = 10


class ManyConnections(FaultTest):
    """The ends of all connections are in this process, which is one workload."""

    settings = {"limits": {"connections_per_workload": 2 * HTTP_COUNT}}

    @classmethod
    def describe(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        cls.addClassCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        super().describe()

    def per_connection(self, before, count):
        return (self.proxy_pss() - before) / count

    def assert_memory_is_given_back(self, before, used):
        """All but what is kept for the next connections, a few seconds after the peak: KiB."""
        wait_until(lambda: self.proxy_pss() - before < max(used / 4, 6144), 15,
                   lambda: f"{used:.0f} KiB were used, {self.proxy_pss() - before} KiB are still there")

    def say(self, client, text):
        client.sendall(text)
        self.assertEqual(read_exactly(client, len(text)), text)


# A proxy of its own for each: what one of them took, the heap keeps.
class IdleHttp(ManyConnections):
    def test_http(self):
        self.host.connected_service("idle", dns_name="idle", protocol="http")
        nginx = Nginx(self.host, "idle")
        nginx.start()
        self.addCleanup(nginx.end_all)
        self.host.wait_healthy("idle", 1)
        self.assertEqual(get(self.connect("idle")).status, 200)
        before = self.proxy_pss()
        clients = self.connect_all("idle", HTTP_COUNT)
        # Each has made a request and waits for its next: in groups, so that many are under way at once.
        for group in range(0, HTTP_COUNT, 500):
            some = clients[group:group + 500]
            for client in some:
                client.sendall(b"GET / HTTP/1.1\r\nHost: idle\r\n\r\n")
            for client in some:
                self.assertEqual(client.recv(4096)[:12], b"HTTP/1.1 200")
        self.assertEqual(self.host.metric("causeway_connections_active", discovery_name="idle"), HTTP_COUNT + 1)
        used = self.per_connection(before, HTTP_COUNT)
        print(f"\n{used:.1f} KiB an idle HTTP connection")
        self.assertLess(used, PER_CONNECTION)
        for client in clients[::97]:
            self.assertEqual(get(client).status, 200)
        self.assertEqual(self.host.get("http://idle/")[:8], '{"task":')
        for client in clients:
            client.close()
        self.wait_connected("idle", 1)
        self.assert_memory_is_given_back(before, HTTP_COUNT * used)


class IdleTcp(ManyConnections):
    def test_tcp(self):
        echo = Echo(self.host)
        self.addCleanup(echo.close)
        self.service("idle-tcp", [echo.address])
        first = self.connect("idle-tcp")
        self.say(first, b"\0")
        before = self.proxy_pss()
        clients = self.connect_all("idle-tcp", TCP_COUNT)
        for client in clients:
            client.sendall(b"\0relayed")
        for client in clients:
            self.assertEqual(read_exactly(client, 8), b"\0relayed")
        used = self.per_connection(before, TCP_COUNT)
        print(f"\n{used:.1f} KiB an idle TCP connection")
        self.assertLess(used, PER_CONNECTION)
        for client in clients[::97]:
            self.say(client, b"still there")
        for client in clients:
            client.close()
        self.wait_connected("idle-tcp", 1)
        self.assert_memory_is_given_back(before, TCP_COUNT * used)


class Echo:
    """Sends back what comes, on one thread for all connections."""

    def __init__(self, host):
        with host.sandbox.inside():
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self.address = self._listener.getsockname()
        self._end, self._ended = socket.socketpair()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._ended, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._ended:
                        for open_one in list(selector.get_map().values()):
                            open_one.fileobj.close()
                        return
                    if key.fileobj is self._listener:
                        connection, _ = self._listener.accept()
                        selector.register(connection, selectors.EVENT_READ)
                        continue
                    self._echo(selector, key.fileobj)

    @staticmethod
    def _echo(selector, connection):
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            data = b""
        if data:
            connection.sendall(data)
            return
        selector.unregister(connection)
        connection.close()

    def close(self):
        self._end.close()
        self._thread.join()
