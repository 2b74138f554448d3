"""kill -9 of one of three tasks under load: no idempotent request fails, and only its own TCP connections end."""
from support.faults import FaultTest, receive_all
from support.nginx import Nginx
from support.quick_load import QuickLoad
from support.sandbox import wait_until

REQUESTS = 150_000

# Says who it is, then echoes.
ECHO = """
import socketserver, threading
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        name = self.server.server_address[0].encode()
        while (data := self.request.recv(65536)):
            self.request.sendall(name + b" " + data)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
server = Server(("0.0.0.0", 3000), Echo)
server.server_address = server.socket.getsockname()
server.serve_forever()
"""


class KillUnderLoad(FaultTest):
    settings = {"defaults": {"connect_timeout": "30s", "per_request_timeout": "30s"}}

    def test_http(self):
        self.host.connected_service("killed", dns_name="killed")
        nginx = Nginx(self.host, "killed")
        self.addCleanup(nginx.end_all)
        for _ in range(3):
            nginx.start()
        self.host.wait_healthy("killed", 3)
        kept = QuickLoad(self.host, "http://killed/", requests=REQUESTS, connections=16)
        fresh = self.host.load("http://killed/", requests=REQUESTS // 30, connections=4, per_connection=1)
        wait_until(lambda: self.host.metric("causeway_requests_total", discovery_name="killed") > REQUESTS // 10, 30, "the load runs")
        nginx.kill(nginx.tasks[0])
        self.assertTrue(kept.is_running() and fresh.poll() is None, "it was killed under load")
        self.host.wait_healthy("killed", 2)
        counts, fresh_counts = kept.finish(), self.host.finish_load(fresh)
        self.assertEqual((counts["2xx"], counts["failed"], counts["errored"]), (REQUESTS, 0, 0), counts)
        self.assertEqual((fresh_counts["failures"], fresh_counts["ok"]), ([], REQUESTS // 30))
        self.assertLess(counts["longest_ms"], 10_000, "none waits for a timeout")

    def test_tcp(self):
        self.host.connected_service("killed-tcp", dns_name="killed-tcp")
        tasks = [self.host.start_task("killed-tcp", ("python3", "-S", "-c", ECHO)) for _ in range(3)]
        for task in tasks:
            self.addCleanup(task.wait)
            self.addCleanup(task.kill)
        self.host.wait_healthy("killed-tcp", 3)
        clients = {client: self.say(client) for client in self.connect_all("killed-tcp", 60)}
        self.assertEqual(len(set(clients.values())), 3)
        by_pid = {t["pid"]: t["address"] for t in self.host.causeway_json("tasks")["tasks"]}
        killed = by_pid[tasks[0].pid].encode()
        tasks[0].kill()
        tasks[0].wait()
        for client, address in clients.items():
            if address == killed:
                self.assertEqual(receive_all(client)[0], b"")
            else:
                self.assertEqual(self.say(client), address)
        for client in self.connect_all("killed-tcp", 30):
            self.assertNotEqual(self.say(client), killed)

    def say(self, client):
        """Who answered."""
        client.sendall(b"\0hello")
        data = b""
        while not data.endswith(b" \0hello"):
            more = client.recv(65536)
            self.assertTrue(more, data)
            data += more
        return data.split(b" ")[0]
