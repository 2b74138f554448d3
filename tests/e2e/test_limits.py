"""What the configuration's limits do to the clients that exceed them, and to nobody else."""
from support.dialer import Dialer
from support.faults import Answer, FaultTest, get, receive_all

SHARE = 10


class Limits(FaultTest):
    settings = {"limits": {"connections_per_workload": SHARE, "header_bytes": 4096, "header_fields": 20, "header_seconds": 1,
                           "body_idle_seconds": 1}}

    @classmethod
    def describe(cls):
        super().describe()
        cls.host.client_service("caller")
        # In a task of its own: another workload than the host's processes.
        cls.task_dialer = Dialer(cls.host.sandbox, lambda arguments, stdin: cls.host.start_task("caller", arguments, stdin=stdin))
        cls.addClassCleanup(cls.task_dialer.close)

    def exceeded(self, name, limit, **labels):
        return self.host.metric("causeway_limits_exceeded_total", discovery_name=name, limit=limit, **labels)

    def answer(self, name, data):
        client = self.connect(name)
        client.sendall(data)
        answer = Answer(client)
        self.assertEqual(answer.headers["connection"], "close")
        self.assertEqual(receive_all(client), (b"", True))
        return answer.status

    def test_a_workload_beyond_its_share_is_refused_and_others_are_not(self):
        self.service("share", [self.server(self.ok)], protocol="http")
        tasks_clients = self.task_dialer.dial("share", count=SHARE)
        for client in tasks_clients:
            self.addCleanup(client.close)
            self.assertEqual(get(client).status, 200)
        for _ in range(3):
            with self.task_dialer.dial("share")[0] as beyond:
                answer = get(beyond)
                self.assertEqual((answer.status, answer.headers["retry-after"], answer.headers["connection"]), (503, "1", "close"))
                self.assertIn(b"limits.connections_per_workload", answer.body)
                self.assertEqual(receive_all(beyond), (b"", True))
        self.assertEqual(get(self.connect("share")).status, 200)  # a process of the host
        self.assertEqual([get(client).status for client in tasks_clients], [200] * SHARE)
        self.assertEqual(self.exceeded("share", "workload", client="caller"), 3)
        self.assertEqual(self.exceeded("share", "workload", client="host"), 0)
        tasks_clients[0].close()
        self.wait_connected("share", SHARE)
        with self.task_dialer.dial("share")[0] as next_one:
            self.assertEqual(get(next_one).status, 200)

    def test_tcp_beyond_the_share_is_reset(self):
        self.service("tcp-share", [self.server(lambda connection: connection.sendall(connection.recv(9)) or connection.recv(1))])
        clients = self.task_dialer.dial("tcp-share", count=SHARE)
        for client in clients:
            self.addCleanup(client.close)
            client.sendall(b"\0no http")
            self.assertEqual(client.recv(9), b"\0no http")
        with self.task_dialer.dial("tcp-share")[0] as beyond:
            beyond.sendall(b"\0no http")
            self.assertEqual(receive_all(beyond), (b"", False))
        self.assertEqual(self.exceeded("tcp-share", "workload"), 1)

    def test_heads(self):
        self.service("heads", [self.server(self.ok)], protocol="http")
        self.assertEqual(self.answer("heads", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 5000 + b"\r\n\r\n"), 431)
        self.assertEqual(self.exceeded("heads", "header_bytes"), 1)
        self.assertEqual(self.answer("heads", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20 + b"\r\n"), 431)
        self.assertEqual(self.exceeded("heads", "header_fields"), 1)
        self.assertEqual(self.answer("heads", b"GET / HTTP/1.1\r\nHo"), 408)
        self.assertEqual(self.exceeded("heads", "header_time"), 1)
        self.assertEqual(get(self.connect("heads"), more=b"X: y\r\n" * 19).status, 200)

    def test_bodies(self):
        self.service("bodies", [self.server(self.ok)], protocol="http")
        self.assertEqual(self.answer("bodies", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"), 408)
        self.assertEqual(self.exceeded("bodies", "body_idle"), 1)
        self.assertEqual(self.host.metric("causeway_ejections_total", discovery_name="bodies"), 0)  # not the endpoint's fault
