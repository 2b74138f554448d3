"""Clients that vanish at each byte of a message, either way: nothing stays behind, and half a message is never made a
whole one."""
import socket
import threading

from support.faults import OK, FaultTest, get, read_exactly, read_request, receive_all, reset
from support.sandbox import wait_until

CHUNKED = (b"POST /thing?a=b HTTP/1.1\r\nHost: vanish\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n"
           b"5\r\nhello\r\n7;a=\"b\"\r\n, world\r\n0\r\nx: y\r\n\r\n")
LENGTH = b"PUT /thing HTTP/1.1\r\nHost: vanish\r\nContent-Length: 12\r\n\r\nhello, world"
UPGRADE = b"GET / HTTP/1.1\r\nHost: vanish\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nand on"

ANSWER_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def close(connection):
    connection.close()


def half_close(connection):
    connection.shutdown(socket.SHUT_WR)


class Received:
    """What came of each request to the endpoint, and whether its sender ended regularly."""

    def __init__(self):
        self.lock = threading.Lock()
        self.open = 0
        self.messages = []

    def behave(self, connection):
        with self.lock:
            self.open += 1
        try:
            self.messages.append(receive_all(connection)[0])
        finally:
            with self.lock:
                self.open -= 1


class VanishingClients(FaultTest):
    def test_in_a_request(self):
        ends = {"closed": close, "reset": reset, "half-closed": half_close}
        for number, message in enumerate((CHUNKED, LENGTH)):
            name = f"request-{number}"
            received = Received()
            self.service(name, [self.server(received.behave)], protocol="http")
            for round_number, end in enumerate(ends.values(), 1):
                clients = self.connect_all(name, len(message) - 1)
                for cut, client in enumerate(clients, 1):
                    client.sendall(message[:cut])
                self.wait_opened(name, round_number * len(clients))
                for client in clients:
                    end(client)
                # Whether told or not, each is done with; the endpoint has no answer to give.
                self.wait_no_connection(name)
                for client in clients:
                    client.close()
            wait_until(lambda: received.open == 0, 20, "the endpoint has read what it gets")
            self.assertTrue(received.messages)
            for got in received.messages:
                self.assertFalse(self.is_whole(got), got)
            # The same endpoint, after all that.
            self.assertEqual(self.host.metric("causeway_requests_total", discovery_name=name, code="2xx"), 0)

    @staticmethod
    def is_whole(message):
        head, _, body = message.partition(b"\r\n\r\n")
        if b"chunked" in head.lower():
            return b"\r\n0\r\n" in b"\r\n" + body and body.endswith(b"\r\n\r\n")
        return len(body) >= 12

    def test_in_an_answer(self):
        ended = threading.Semaphore(0)

        def behave(connection):
            try:
                read_request(connection)
                connection.sendall(ANSWER_HEAD)
                while True:  # until the proxy ends it
                    connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
            finally:
                ended.release()

        self.service("answer", [self.server(behave)], protocol="http")
        for end in (close, reset):
            clients = self.connect_all("answer", 100)
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            for cut, client in enumerate(clients, 1):
                self.assertEqual(len(read_exactly(client, cut)), cut)
                end(client)
            for _ in clients:
                self.assertTrue(ended.acquire(timeout=20), "the endpoint is told that nobody reads on")
            self.wait_no_connection("answer")

    def test_while_the_answer_is_waited_for(self):
        waiting, ended = threading.Semaphore(0), threading.Semaphore(0)

        def behave(connection):
            read_request(connection)
            waiting.release()
            receive_all(connection)
            ended.release()

        self.service("waiting", [self.server(behave)], protocol="http")
        clients = self.connect_all("waiting", 50)
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients:
            self.assertTrue(waiting.acquire(timeout=20))
        for client in clients:
            reset(client)
        for client in clients:
            self.assertTrue(ended.acquire(timeout=5))
        self.wait_no_connection("waiting")
        self.assertEqual(self.host.metric("causeway_requests_total", discovery_name="waiting", code="none"), 50)
        self.assertEqual(self.host.metric("causeway_ejections_total", discovery_name="waiting"), 0)  # not the endpoint's fault

    def test_in_a_tunnel_and_on_tcp(self):
        def echo(connection):
            data = connection.recv(65536)
            if data.startswith(b"GET"):
                data = data.partition(b"\r\n\r\n")[2]
                connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            connection.sendall(data)
            while data := connection.recv(65536):
                connection.sendall(data)

        for name, message in (("tunnel", UPGRADE), ("tcp", b"\0 no HTTP at all\r\n" * 6)):
            self.service(name, [self.server(echo)])
            for round_number, end in enumerate((close, reset, half_close), 1):
                clients = self.connect_all(name, len(message) - 1)
                for cut, client in enumerate(clients, 1):
                    client.sendall(message[:cut])
                self.wait_opened(name, round_number * len(clients))
                for client in clients:
                    end(client)
                if end is half_close:
                    for client in clients:
                        receive_all(client)
                self.wait_no_connection(name)

    def test_the_proxy_holds_nothing_of_them(self):
        self.service("after", [self.server(self.ok)], protocol="http")
        client = self.connect("after")
        self.assertEqual(get(client).body, OK[-3:])
        before = self.proxy_descriptors()
        for round_number in range(1, 4):
            clients = self.connect_all("after", len(CHUNKED) - 1)
            for cut, vanishing in enumerate(clients, 1):
                vanishing.sendall(CHUNKED[:cut])
            self.wait_opened("after", 1 + round_number * len(clients))
            for vanishing in clients:
                reset(vanishing)
        client.close()
        self.wait_no_connection("after")
        self.assertLessEqual(self.proxy_descriptors(), before)
