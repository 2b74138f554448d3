"""Broken, unsigned and hostile clients of the AWS API, the admin port and the proxy: refused, bounded, nothing lost."""
import datetime
import json
import socket

from causeway_host import API, HostTest
from support import sigv4
from support.sandbox import wait_until


class BadClients(HostTest):
    @classmethod
    def describe(cls):
        cls.host.namespace()
        cls.host.connected_service("user-service", dns_name="user-svc", protocol="http")
        cls.host.start_task("user-service")
        cls.host.wait_healthy("user-service", 1)

    def tearDown(self):
        self.assertIsNone(self.host.agent.poll())
        self.assertEqual([n["Name"] for n in self.host.cloud_map("ListNamespaces")["Namespaces"]], ["myapp.local"])
        self.assertEqual(self.host.get("http://user-svc/health"), "ok\n")

    def post(self, headers, body):
        with self.host.sandbox.inside():
            return sigv4.post(API, headers, body)

    def signed(self, operation="CreateHttpNamespace", body=b'{"Name": "intruder"}', **changes):
        return sigv4.signed_headers("servicediscovery", operation, body, host=f"{API[0]}:{API[1]}", **self.host.credentials | changes)

    def test_unsigned(self):
        headers = self.signed()
        del headers["authorization"]
        status, answer = self.post(headers, b'{"Name": "intruder"}')
        self.assertEqual((status, answer["__type"].split("#")[-1]), (403, "MissingAuthenticationTokenException"))

    def test_wrong_signatures(self):
        body = b'{"Name": "intruder"}'
        yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        for changes in ({"secret": "x" * 40}, {"key": "AKIAUNKNOWN"}, {"when": yesterday}):
            with self.subTest(changes):
                status, answer = self.post(self.signed(**changes), body)
                self.assertIn(status, (400, 403), answer)
                self.assertTrue(answer["__type"])
        status, _ = self.post(self.signed(), b'{"Name": "intruder2"}')  # another body than the one signed
        self.assertEqual(status, 403)
        for value in ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=/, SignedHeaders=, Signature=", "Basic eDp5", "A" * 5000):
            status, _ = self.post(self.signed() | {"authorization": value}, body)
            self.assertIn(status, (400, 403))

    def test_malformed_json(self):
        for body in (b"", b"{", b"[]", b'"text"', b'{"Name": 7}', b'{"Name": "\xff\xfe"}', b'{"Name": null}', b"[" * 5000, b'{"Name": "a\\u0000b"}'):
            with self.subTest(body[:20]):
                status, answer = self.post(self.signed(body=body), body)
                self.assertEqual(status, 400, answer)
                self.assertTrue(answer["__type"])

    def test_unknown_operation(self):
        status, answer = self.post(self.signed("MakeCoffee"), b'{"Name": "intruder"}')
        self.assertEqual(answer["__type"].split("#")[-1], "UnknownOperationException")
        self.assertEqual(status, 400)

    def raw(self, address, data, intercepted=False):
        """What comes back until the other side closes, from a plain connection."""
        if intercepted:
            script = ("import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5); s.settimeout(20);"
                      "s.sendall(sys.stdin.buffer.read());\nwhile (d := s.recv(65536)): sys.stdout.buffer.write(d)")
            process = self.host.sandbox.popen(["python3", "-c", script, address[0], address[1]], stdin=-1, stdout=-1, stderr=-1)
            out, err = process.communicate(data, timeout=30)
            return out
        with self.host.sandbox.inside(), socket.create_connection(address, timeout=20) as connection:
            received = b""
            try:
                connection.sendall(data)
                while more := connection.recv(65536):
                    received += more
            except (ConnectionResetError, BrokenPipeError):
                pass
            return received

    def test_not_http_at_all(self):
        for port in (7070, 7071):
            answer = self.raw(("127.0.0.1", port), b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
            self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 400"), answer[:100])
            answer = self.raw(("127.0.0.1", port), b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 200_000 + b"\r\n\r\n")
            self.assertRegex(answer.split(b"\r\n")[0], rb"^$|HTTP/1.1 (400|431)")
        answer = self.raw(API, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        self.assertRegex(answer.split(b"\r\n")[0], rb"HTTP/1.1 (400|413)")

    def test_many_idle_connections(self):
        with self.host.sandbox.inside():
            idle = [socket.create_connection(API, timeout=5) for _ in range(300)]
            self.host.cloud_map("ListNamespaces")
            for connection in idle:
                connection.close()

    def test_requests_that_smuggle_are_refused_by_the_proxy(self):
        head = b"GET /health HTTP/1.1\r\nHost: user-svc\r\n"
        for broken in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                       b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", b"Host: other\r\n\r\n", b" folded: x\r\n\r\n", b"Bad Name: x\r\n\r\n"):
            with self.subTest(broken):
                answer = self.raw(("user-svc", 80), head + broken, intercepted=True)
                self.assertTrue(answer.startswith(b"HTTP/1.1 400"), answer[:200])
                self.assertEqual(answer.count(b"HTTP/1.1"), 1, answer)
        self.assertTrue(self.raw(("user-svc", 80), b"SSH-2.0-client\r\n", intercepted=True).startswith(b"HTTP/1.1 400"))

    def test_a_client_that_leaves_in_the_middle(self):
        for part in (b"GET /hea", b"POST /health HTTP/1.1\r\nHost: user-svc\r\nContent-Length: 100\r\n\r\nhalf"):
            script = f"import socket; s = socket.create_connection(('user-svc', 80)); s.sendall({part!r})"
            self.host.sandbox.run(["python3", "-c", script])
        wait_until(lambda: self.host.metric("causeway_connections_active") == 0, 10, "no connection stays open")

    def test_socket_of_the_agent_is_roots(self):
        nobody = self.host.sandbox.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS", "--unix-socket",
                                        str(self.host.directory / "run/agent.sock"), "http://agent/v1/status"], check=False)
        self.assertEqual(nobody.returncode, 7, nobody.stdout)

    def test_key_pair_is_roots(self):
        path = self.host.directory / "data/credentials.json"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertTrue(json.loads(path.read_text()))
