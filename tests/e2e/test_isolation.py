"""What a task sees of other namespaces, and what Causeway leaves alone."""
import json
import socket

from causeway_host import HostTest

CONNECT = ("python3", "-c", """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET); s.settimeout(5)
try: s.connect((sys.argv[1], int(sys.argv[2]))); print("connected")
except OSError as e: print(type(e).__name__)
""")


class Isolation(HostTest):
    @classmethod
    def describe(cls):
        host = cls.host
        host.namespace("one.local")
        host.namespace("two.local")
        host.connected_service("web-one", namespace="one.local", dns_name="web")
        host.connected_service("web-two", namespace="two.local", dns_name="web-two", cluster="second")
        host.connected_service("shared-one", namespace="one.local", dns_name="same")
        host.connected_service("shared-two", namespace="two.local", dns_name="same", cluster="second")
        host.client_service("client-two", namespace="two.local", cluster="second")
        for service, cluster in (("web-one", "production"), ("web-two", "second"), ("shared-one", "production"),
                                 ("shared-two", "second")):
            host.start_task(service, cluster=cluster)
        host.wait_healthy("web-one", 1, "one.local")
        host.wait_healthy("web-two", 1, "two.local")
        host.wait_healthy("shared-one", 1, "one.local")
        host.wait_healthy("shared-two", 1, "two.local")

    def in_two(self, *arguments, **options):
        return self.host.run_in_task("client-two", arguments, cluster="second", **options)

    def address(self, name, kind="A"):
        return self.host.sandbox.run(["dig", "+short", name, kind]).stdout.strip()

    def test_a_task_sees_its_own_namespace(self):
        self.assertEqual(self.in_two("curl", "-sSf", "--noproxy", "*", "http://web-two/health").stdout, "ok\n")

    def test_nor_name_nor_address_of_another(self):
        self.assertEqual(self.in_two("dig", "+short", "web").stdout, "")
        for kind in ("A", "AAAA"):
            address = self.address("web", kind)
            self.assertTrue(address)
            self.assertEqual(self.in_two(*CONNECT, address, "80").stdout, "ConnectionRefusedError\n")
            self.assertEqual(self.host.sandbox.run([*CONNECT, address, "80"]).stdout, "connected\n")

    def test_the_same_name_in_two_namespaces(self):
        answer = self.in_two("curl", "-sSf", "--noproxy", "*", "http://same/api/users/1").stdout
        two = self.host.instances("shared-two", "two.local")[0]["Attributes"]["AWS_INSTANCE_IPV4"]
        self.assertTrue(json.loads(answer)["task"].startswith(two + ":"))
        ambiguous = self.host.sandbox.run(["dig", "same"]).stdout
        self.assertIn("status: SERVFAIL", ambiguous)  # to a process outside every task

    def test_alias_addresses_without_an_alias_are_refused(self):
        # A server on every address must not be reached through them.
        with self.host.sandbox.inside():
            server = socket.create_server(("0.0.0.0", 8181))
        with server:
            for address in (self.address("web"), "127.255.200.200"):
                self.assertEqual(self.host.sandbox.run([*CONNECT, address, "8181"]).stdout, "ConnectionRefusedError\n")
            self.assertEqual(self.host.sandbox.run([*CONNECT, "127.0.0.1", "8181"]).stdout, "connected\n")

    def test_a_process_of_another_network_namespace_is_left_alone(self):
        # Same cgroup, other namespace: 127.255.0.1 is a plain loopback address there.
        script = ("import socket; s = socket.create_server(('127.255.0.1', 80)); c = socket.create_connection(('127.255.0.1', 80), 5);"
                  "print(c.getpeername()[0])")
        out = self.host.sandbox.run(["unshare", "--net", "sh", "-c", 'ip link set lo up && python3 -c "$0"', script]).stdout
        self.assertEqual(out, "127.255.0.1\n")

    def test_the_client_sees_the_address_it_dialled(self):
        for kind, family in (("A", "AF_INET"), ("AAAA", "AF_INET6")):
            address = self.address("web", kind)
            script = (f"import socket; s = socket.socket(socket.{family}); s.connect(('{address}', 80)); print(*s.getpeername()[:2]);"
                      "s.sendall(b'GET /health HTTP/1.1\\r\\nHost: web\\r\\n\\r\\n'); print(s.recv(12).decode())")
            out = self.host.sandbox.run(["python3", "-c", script]).stdout.splitlines()
            self.assertEqual(out, [f"{address} 80", "HTTP/1.1 200"])

    def test_ways_to_connect(self):
        address = self.address("web")
        request = "b'GET /health HTTP/1.1\\r\\nHost: web\\r\\n\\r\\n'"
        ways = {
            "v4-mapped": f"s = socket.socket(socket.AF_INET6); s.connect(('::ffff:{address}', 80)); s.sendall({request})",
            "non-blocking": f"s = socket.socket(); s.setblocking(False); e = s.connect_ex(('{address}', 80));"
                            "import errno, select; assert e in (0, errno.EINPROGRESS), e;"
                            f"select.select([], [s], [], 5); s.setblocking(True); s.sendall({request})",
            "fast open": f"s = socket.socket(); s.sendto({request}, 0x20000000, ('{address}', 80))",
            "mptcp": f"s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.connect(('{address}', 80));"
                     f"assert s.getpeername()[0] == '{address}', s.getpeername(); s.sendall({request})",
        }
        for name, way in ways.items():
            with self.subTest(name):
                out = self.host.sandbox.run(["python3", "-c", f"import socket; {way}; s.settimeout(5); print(s.recv(12).decode())"])
                self.assertEqual(out.stdout, "HTTP/1.1 200\n")
