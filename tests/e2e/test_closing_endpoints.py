"""Endpoints that close connections the proxy keeps for the next request: no idempotent request fails, and none that was
sent and is not idempotent is sent twice."""
import threading

from support.faults import OK, Answer, FaultTest, end_sending, get, read_request, reset

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nonce"


class ClosingEndpoints(FaultTest):
    def closing_at_request(self, number, end):
        """Answers that many requests less one of each connection, and ends it when the next one is there."""
        received = []

        def behave(connection):
            rest = b""
            for n in range(number):
                request, rest = read_request(connection, rest)
                if request is None:
                    return
                received.append(request)
                if n + 1 < number:
                    connection.sendall(OK)
            end(connection)

        return self.server(behave), received

    def test_closed_in_the_moment_of_the_next_request(self):
        # One endpoint alone: it is asked again, over a new connection.
        for name, end in (("closed", lambda connection: None), ("reset", reset)):
            with self.subTest(name):
                self.service(name, [self.closing_at_request(2, end)[0]], protocol="http")
                client = self.connect(name)
                self.assertEqual([get(client).status for _ in range(100)], [200] * 100)
                self.assertEqual(self.host.metric("causeway_ejections_total", discovery_name=name), 0)

    def test_all_pooled_connections_are_stale_at_once(self):
        # As when an endpoint is started anew: more stale connections wait than a request has retries.
        address, _ = self.closing_at_request(2, reset)
        self.service("stale", [address], protocol="http")
        clients = self.connect_all("stale", 16)
        for _ in range(5):
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual([Answer(client).status for client in clients], [200] * len(clients))

    def test_a_post_on_a_connection_that_was_closed_before(self):
        closed = threading.Event()

        def behave(connection):
            if read_request(connection)[0] is not None:
                connection.sendall(OK)  # nothing says that it will not stay
                end_sending(connection)
                closed.set()

        self.service("before", [self.server(behave)], protocol="http")
        client = self.connect("before")
        for _ in range(50):
            closed.clear()
            client.sendall(POST)
            self.assertEqual(Answer(client).status, 200)
            self.assertTrue(closed.wait(20))

    def test_a_post_that_was_sent_is_not_sent_twice(self):
        address, received = self.closing_at_request(2, reset)
        self.service("sent", [address], protocol="http")
        statuses = []
        client = self.connect("sent")
        for _ in range(20):
            client.sendall(POST)
            answer = Answer(client)
            statuses.append(answer.status)
            if answer.headers["connection"] == "close":
                client = self.connect("sent")
        self.assertEqual(len(received), 20)  # each once
        self.assertEqual(statuses, [200, 502] * 10)

    def test_connection_close_is_heeded(self):
        connections = []

        def behave(connection):
            connections.append(connection)
            while (request := read_request(connection)[0]) is not None:
                connections.append(request)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n")

        self.service("heeded", [self.server(behave)], protocol="http")
        client = self.connect("heeded")
        for _ in range(5):
            answer = get(client)  # the client's own connection stays
            self.assertEqual((answer.status, answer.headers["connection"]), (200, None))
        self.assertEqual(len(connections), 10)  # a connection a request
