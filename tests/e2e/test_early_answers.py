"""Endpoints that answer before they have read the request: the client gets the answer, and nobody else does."""
import queue
import socket
import threading

from support.faults import OK, Answer, FaultTest, get, read_request, receive_all, reset

LARGE = 8 << 20
REFUSED = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n"


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            raise ConnectionError("no whole head came")
        data += more
    return data


class EarlyAnswers(FaultTest):
    def upload(self, name, *arguments):
        """curl's status and what the proxy did to the connection, for a large body."""
        path = self.host.directory / "body"
        if not path.exists():
            path.write_bytes(bytes(LARGE))
        out = self.host.sandbox.run(["curl", "-sS", "--noproxy", "*", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "-T", path,
                                     *arguments, f"http://{name}/"], check=False)
        return out.stdout, out.stderr

    def test_an_answer_that_ends_the_connection(self):
        def closing(connection):
            read_head(connection)
            connection.sendall(REFUSED + b"Connection: close\r\n\r\nbig\n")
            # Unread bytes: this close is an RST, right behind the answer.

        def resetting(connection):
            closing(connection)
            reset(connection)

        def half_closing(connection):
            read_head(connection)
            connection.sendall(REFUSED + b"Connection: close\r\n\r\nbig\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass

        for name, behave in (("closing", closing), ("resetting", resetting), ("half-closing", half_closing)):
            self.service(name, [self.server(behave)])
            for more in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect:")):
                for _ in range(4):
                    with self.subTest(name, more=more):
                        self.assertEqual(self.upload(name, *more)[0], "413")

    def test_an_answer_while_the_endpoint_goes_on_reading(self):
        got = queue.Queue()

        def behave(connection):
            data = read_head(connection)
            connection.sendall(OK)
            got.put(data + receive_all(connection)[0])

        self.service("reading", [self.server(behave)])
        client = self.connect("reading")
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
        answer = Answer(client)
        self.assertEqual((answer.status, answer.body), (200, b"ok\n"))
        # The rest may or may not be taken, but what follows it is never read as a request, nor answered by this one.
        try:
            client.sendall(bytes(999_000) + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertNotIn(b"400", client.recv(65536))
        except (BrokenPipeError, ConnectionResetError):
            pass
        client.close()
        body = got.get(timeout=20).partition(b"\r\n\r\n")[2]
        self.assertEqual(body.strip(b"\0"), b"")
        self.assertLessEqual(len(body), 1_000_000)

    def test_a_refusal_before_100_continue(self):
        got = queue.Queue()

        def behave(connection):
            read_head(connection)
            connection.sendall(REFUSED + b"\r\nbig\n")
            got.put(receive_all(connection)[0])

        self.service("expecting", [self.server(behave)])
        client = self.connect("expecting")
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        answer = Answer(client)
        self.assertEqual(answer.status, 413)
        client.close()
        self.assertEqual(got.get(timeout=20), b"")  # nothing of the body comes

    def test_an_answer_that_nobody_asked_for(self):
        seen = threading.Event()

        def late(connection):
            read_request(connection)
            connection.sendall(OK)
            connection.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            seen.set()
            connection.recv(1)

        self.service("late", [self.server(late)], protocol="http")
        client = self.connect("late")
        for _ in range(20):
            seen.clear()
            answer = get(client)
            self.assertEqual((answer.status, answer.body), (200, b"ok\n"))
            self.assertTrue(seen.wait(20))  # the 408 waits on the pooled connection
