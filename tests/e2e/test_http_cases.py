"""The cases of tests/http_cases through the real proxy: what an endpoint gets of each request, what a client gets of each response."""
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import threading

from causeway_host import HostTest
from support import http_cases
from support.sandbox import wait_until

CLIENT = pathlib.Path(__file__).parent / "support/raw_client.py"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
FENCE = b"GET /fence HTTP/1.1\r\nHost: cases\r\n\r\n"
PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def is_fence(data):
    return data.startswith(b"GET /fence ")


class RawServer:
    """Reads and sends bytes as it is told, a thread a connection. It closes each connection, so that none is pooled."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.lock = threading.Lock()
        self.expected = []  # requests to be answered; without any: only read
        self.received = []  # what came on each connection, in the order they were accepted
        self.played = None  # a response to any request
        self.fences = self.active = 0
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            data = bytearray()
            with self.lock:
                self.active += 1
                self.received.append(data)
            threading.Thread(target=self.serve, args=(connection, data), daemon=True).start()

    def serve(self, connection, data):
        with connection:
            with contextlib.suppress(OSError):
                while (answer := self.answer(data)) is None:
                    more = connection.recv(65536)
                    if not more:
                        break
                    data += more
                connection.sendall(answer or b"")
                connection.shutdown(socket.SHUT_WR)
                # What else comes to be part of what was received. After a response that was played it does not matter, and
                # the proxy may keep such a connection for a while.
                while self.played is None and (more := connection.recv(65536)):
                    data += more
            with self.lock:
                self.fences += is_fence(data)
                self.active -= 1

    def answer(self, data):
        """None until `data` is what is waited for."""
        with self.lock:
            if is_fence(data):
                pass
            elif self.played is not None:
                return self.played if b"\r\n\r\n" in data else None
            elif not self.expected or len(data) < len(self.expected[0]):
                return None
            else:
                self.expected.pop(0)
        ok = b"" if data.startswith(b"HEAD ") else b"ok"
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n" + ok

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


class HttpCases(HostTest):
    settings = {"limits": {"header_fields": 128}}  # as many as the codec takes where nothing else is said

    @classmethod
    def describe(cls):
        cls.host.namespace()
        cls.host.connected_service("cases", dns_name="cases", protocol="http")
        with cls.host.sandbox.inside():
            cls.server = RawServer()
        cls.addClassCleanup(cls.server.close)
        identity = next(s["Id"] for s in cls.host.cloud_map("ListServices")["Services"] if s["Name"] == "cases")
        address, port = cls.server.listener.getsockname()
        cls.host.finished(cls.host.cloud_map("RegisterInstance", ServiceId=identity, InstanceId="raw", Attributes={
            "AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": str(port)}))
        cls.host.wait_healthy("cases", 1)
        cls.client = cls.host.sandbox.popen(["python3", CLIENT, "cases", "80"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        wait_until(lambda: STATUS.findall(cls.exchange(FENCE)[0]) == [b"200"], 5, "the endpoint is asked")

    @classmethod
    def exchange(cls, send, end=True):
        print(json.dumps({"send": send.hex(), "end": end}), file=cls.client.stdin, flush=True)
        answer = json.loads(cls.client.stdout.readline())
        return bytes.fromhex(answer["got"]), answer["how"]

    def play(self, send, *, end=True, expected=(), played=None):
        """What the client got, how it ended, and what the server received meanwhile."""
        server = self.server
        with server.lock:
            server.expected, server.received, server.played = list(expected), [], played
            fences = server.fences
        got, how = self.exchange(send, end)
        # Connections are accepted in their order: behind the fence's, none of the case's is still to come.
        self.assertEqual(STATUS.findall(self.exchange(FENCE)[0]), [b"200"])
        wait_until(lambda: server.fences > fences and server.active == 0, 10, "the proxy closes its connections to the endpoint")
        return got, how, [bytes(data) for data in server.received if not is_fence(data)]

    def test_requests(self):
        for case in http_cases.load("requests.txt"):
            with self.subTest(case.name):
                self.request_case(case)

    def request_case(self, case):
        expected = http_cases.forwarded(case)
        last = case.verdicts[-1]
        got, how, received = self.play(case.sent, end=last.word in ("pass", "cut"), expected=expected)
        self.assertEqual(how, "closed", got[:500])
        statuses = [int(s) for s in STATUS.findall(got)]
        self.assertEqual(statuses[:len(expected)], [200] * len(expected))
        self.assertEqual([http_cases.without_request_id(r) for r in received[:len(expected)]], expected)
        if last.word == "pass":
            self.assertEqual((len(statuses), len(received)), (len(expected), len(expected)), got[:500])
        elif last.word == "cut":
            self.assertIn(statuses[len(expected):], ([], [408]), got[:500])
        else:
            self.assertEqual(statuses[len(expected):], [int(last.word)], got[:500])
            self.assertIn(b"\r\nconnection: close\r\n", got)
            self.assertEqual(received[len(expected):], [], "the endpoint got something of it")

    def test_responses(self):
        for case in http_cases.load("responses.txt"):
            with self.subTest(case.name):
                self.response_case(case)

    def response_case(self, case):
        asked = case.to or PLAIN
        verdict, = case.verdicts
        got, how, received = self.play(asked, played=case.sent)
        self.assertTrue(received)
        statuses = [int(s) for s in STATUS.findall(got)]
        if verdict.word == "pass":
            self.assertEqual((got, how), (case.sent if verdict.out is None else verdict.out, "closed"))
        elif verdict.word == "bad":
            self.assertEqual((statuses[-1:], how), ([502], "closed"), got[:500])
            if not asked.startswith(b"HEAD "):
                self.assertIn(verdict.reason.encode(), got)
        elif how != "reset":  # broken or cut: seen as such, never taken for whole
            self.assertEqual((statuses[-1:], how), ([502], "closed"), got[:500])
