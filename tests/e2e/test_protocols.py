"""What the proxy carries: HTTP/1.1 in its forms, Upgrade, half-close, servers that speak first."""
import hashlib
import subprocess

from causeway_host import HostTest

# One server for all: it tells HTTP from the rest by the port.
SERVER = r"""
import hashlib, socket, socketserver, sys

class Http(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            line = self.rfile.readline()
            if not line.strip():
                return
            method, path, _ = line.decode().split()
            headers = {}
            while (h := self.rfile.readline().strip()):
                name, _, value = h.decode().partition(":")
                headers[name.strip().lower()] = value.strip()
            if headers.get("upgrade"):
                self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
                while (data := self.connection.recv(65536)):
                    self.wfile.write(data)
                return
            if headers.get("expect") == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = hashlib.sha256()
            size = 0
            if headers.get("transfer-encoding") == "chunked":
                while (n := int(self.rfile.readline().split(b";")[0], 16)):
                    body.update(self.rfile.read(n)); size += n
                    self.rfile.readline()
                self.rfile.readline()
            else:
                left = int(headers.get("content-length", 0))
                while left:
                    data = self.rfile.read(min(left, 1 << 16)); body.update(data); left -= len(data); size += len(data)
            if path.startswith("/chunked/"):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(int(path.split("/")[2])):
                    self.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            elif path == "/until-close":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
                return
            elif path == "/nothing":
                self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            else:
                text = f"{method} {path} {size} {body.hexdigest()}\n".encode()
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + (b"" if method == "HEAD" else text))
            if headers.get("connection") == "close":
                return

class Banner(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"220 ready\r\n")
        data = b""
        while (more := self.request.recv(65536)):
            data += more
        self.request.sendall(b"got %d %s\r\n" % (len(data), hashlib.sha256(data).hexdigest().encode()))

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    handle_error = lambda *_: None  # clients that leave early are part of the tests

Server(("0.0.0.0", 3000), Banner if sys.argv[1] == "banner" else Http).serve_forever()
"""


class Protocols(HostTest):
    @classmethod
    def describe(cls):
        cls.host.namespace()
        for name, protocol, kind in (("detected", None, "http"), ("declared", "http", "http"), ("banner", None, "banner")):
            cls.host.connected_service(name, dns_name=name, protocol=protocol)
            cls.host.start_task(name, ("python3", "-c", SERVER, kind))
        for name in ("detected", "declared", "banner"):
            cls.host.wait_healthy(name, 1)

    def curl(self, *arguments, **options):
        return self.host.sandbox.run(["curl", "-sS", "--noproxy", "*", "-m", "30", *arguments], **options)

    def talk(self, name, script):
        """Runs the script with `s`, a connection to that name, and prints what it makes of it."""
        return self.host.sandbox.run(["python3", "-c", f"import socket, hashlib\ns = socket.create_connection(('{name}', 80), 10)\n"
                                      "def rest():\n d = b''\n while (m := s.recv(65536)): d += m\n return d\n" + script]).stdout

    def test_methods_and_bodies(self):
        for name in ("detected", "declared"):
            self.assertTrue(self.curl(f"http://{name}/a?b=c").stdout.startswith("GET /a?b=c 0 "))
            self.assertIn("200", self.curl("-I", f"http://{name}/").stdout)
            self.assertEqual(self.curl("-w", "%{http_code}", f"http://{name}/nothing").stdout, "204")
            self.assertEqual(self.curl(f"http://{name}/until-close").stdout, "until the end")
            self.assertTrue(self.curl("-X", "DELETE", "-d", "x", f"http://{name}/thing").stdout.startswith("DELETE /thing 1 "))

    def test_large_bodies_both_ways(self):
        path = self.host.directory / "body"
        data = bytes(range(256)) * (64 * 1024)  # 16 MiB
        path.write_bytes(data)
        expected = f" {len(data)} {hashlib.sha256(data).hexdigest()}\n"
        for more in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue")):
            self.assertTrue(self.curl("-T", str(path), *more, "http://detected/").stdout.endswith(expected), more)
        self.assertEqual(self.curl("-o", "/dev/null", "-w", "%{size_download}", "http://detected/chunked/256").stdout, str(256 * 65536))

    def test_bodies_are_streamed_not_gathered(self):
        before = self.proxy_memory()
        client = self.host.sandbox.popen(["curl", "-sS", "--noproxy", "*", "--limit-rate", "1M", "-m", "3", "http://detected/chunked/4096"],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client.wait(20)  # curl gives up after 3 s, with 256 MiB waiting at the server
        self.assertLess(self.proxy_memory() - before, 16 * 1024)

    def proxy_memory(self):
        """Peak resident KiB."""
        with open(f"/proc/{self.host.proxy_pid()}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

    def test_pipelining(self):
        out = self.talk("detected", "s.sendall(b''.join(b'GET /%d HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' % n for n in range(20)))\n"
                                    "s.shutdown(socket.SHUT_WR)\nd = rest().decode()\n"
                                    "print([int(l.split()[1][1:]) for l in d.splitlines() if l.startswith('GET')] == list(range(20)))")
        self.assertEqual(out, "True\n")

    def test_request_in_single_bytes(self):
        out = self.talk("detected", "import time\nfor b in b'GET /slow HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n':\n"
                                    " s.sendall(bytes([b])); time.sleep(0.001)\nprint(rest().startswith(b'HTTP/1.1 200'))")
        self.assertEqual(out, "True\n")

    def test_upgrade(self):
        out = self.talk("detected", "s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n')\n"
                                    "print(s.recv(12).decode())\nwhile not s.recv(1000).endswith(b'\\r\\n\\r\\n'): pass\n"
                                    "s.sendall(b'hello'); print(s.recv(5).decode())")
        self.assertEqual(out.split("\n")[:2], ["HTTP/1.1 101", "hello"])

    def test_server_that_speaks_first(self):
        out = self.talk("banner", "import time\nt = time.monotonic(); print(s.recv(100).decode().strip()); print(time.monotonic() - t < 5)\n"
                                  "data = b'EHLO client\\r\\n' * 100000; s.sendall(data); s.shutdown(socket.SHUT_WR)\n"
                                  "print(rest().decode().strip() == 'got %d %s' % (len(data), hashlib.sha256(data).hexdigest()))")
        self.assertEqual(out.splitlines(), ["220 ready", "True", "True"])

    def test_not_http_to_a_declared_http_service(self):
        self.assertTrue(self.talk("declared", "s.sendall(b'\\x16\\x03\\x01\\x00\\x05hello\\r\\n\\r\\n')\nprint(rest()[:12].decode())").startswith("HTTP/1.1 400"))
