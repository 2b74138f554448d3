"""Answers that are cut, malformed or not HTTP: a bounded 502, or a cut that the client sees; never passed off as whole."""
import http.client
import socket
import threading

from support.faults import OK, Answer, FaultTest, get, read_request, receive_all, reset

HEAD = b"HTTP/1.1 200 OK\r\n"

# What an endpoint sends in answer to a GET instead of an HTTP/1.1 response.
GARBAGE = {
    "binary": bytes(range(256)) * 8,
    "another-protocol": b"220 mail ready\r\n",
    "tls-alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "http-0-9": b"<html>no head</html>\r\n\r\n",
    "http-2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18),
    "http-9": b"HTTP/9.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status-of-letters": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "status-of-two-digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "nul-in-a-field": HEAD + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "name-with-a-space": HEAD + b"Bad Name: x\r\nContent-Length: 0\r\n\r\n",
    "two-lengths": HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nok\n",
    "length-and-chunks": HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok\n\r\n0\r\n\r\n",
    "negative-length": HEAD + b"Content-Length: -1\r\n\r\n",
    "overflowing-length": HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
    "unasked-upgrade": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    "head-without-end": HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "endless-interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    "cut-head": b"HTTP/1.1 200 OK\r\nContent-Le",
}

# Answers that begin well: the client has read a 200 before the endpoint breaks off.
CUT = {
    "length": HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000,
    "one-byte-short": HEAD + b"Content-Length: 11\r\n\r\n0123456789",
    "chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n100\r\nhalf",
    "between-chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "without-the-last-line": HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
}


class BrokenAnswers(FaultTest):
    def sending(self, data, end):
        def behave(connection):
            read_request(connection)
            connection.sendall(data)
            end(connection)
        return self.server(behave)

    def test_garbage_is_a_bad_gateway(self):
        for name, data in GARBAGE.items():
            with self.subTest(name):
                self.service(name, [self.sending(data, lambda connection: None)], protocol="http")
                client = self.connect(name)
                client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")  # not repeated on another
                answer = self.final(client)
                self.assertEqual(answer.status, 502)
                self.assertIn(name, answer.body.decode())  # says whose answer it was
                self.assertLessEqual(answer.body.count(b"\n"), 1)
                self.assertNotIn(b"a" * 100, answer.body)  # but repeats nothing of it

    @staticmethod
    def final(client):
        """The final answer, past interim ones that were passed on."""
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = client.recv(65536)
                if not more:
                    raise AssertionError(f"closed before an answer: {data!r}")
                data += more
            if not data.startswith(b"HTTP/1.1 1"):
                break
            data = data.split(b"\r\n\r\n", 1)[1]
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)
            return Answer(ours)

    def test_a_cut_answer_is_seen_to_be_cut(self):
        for how, end in (("closed", lambda connection: None), ("reset", reset)):
            for name, data in CUT.items():
                with self.subTest(name, how=how):
                    self.service(f"{name}-{how}", [self.sending(data, end)])
                    client = self.connect(f"{name}-{how}")
                    with self.assertRaises((http.client.IncompleteRead, ConnectionResetError, http.client.BadStatusLine)):
                        get(client)
                    self.assertTrue(self.ended(client))

    def test_an_answer_until_close_that_is_reset_is_no_regular_end(self):
        begun = threading.Event()

        def behave(connection):
            read_request(connection)
            connection.sendall(HEAD + b"Connection: close\r\n\r\nthe beginning")
            begun.wait(20)
            reset(connection)

        self.service("until-close", [self.server(behave)], protocol="http")
        client = self.connect("until-close")
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        data = b""
        while b"beginning" not in data:
            data += client.recv(65536)
        begun.set()
        self.assertEqual(receive_all(client), (b"", False))

    @staticmethod
    def ended(client):
        try:
            return client.recv(1) == b""
        except ConnectionResetError:
            return True

    def test_bytes_beyond_an_answer_reach_nobody(self):
        # Were the connection used again, they would be the answer to somebody else's request.
        self.service("beyond", [self.sending(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsmuggl", lambda c: c.recv(1))], protocol="http")
        for client in self.connect_all("beyond", 8):
            for _ in range(2):
                self.assertEqual(get(client).body, b"ok\n")

    def test_a_good_endpoint_beside_a_broken_one(self):
        # Nothing came of an answer: a GET is asked again elsewhere.
        self.service("beside", [self.sending(b"", reset), self.sending(b"", lambda c: None), self.server(self.ok)], protocol="http")
        client = self.connect("beside")
        self.assertEqual([get(client).status for _ in range(20)], [200] * 20)
