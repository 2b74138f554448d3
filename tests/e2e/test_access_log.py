"""The access log of the real agent: what turns it on, its two formats, rotation, and outputs that take nothing."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from causeway_host import BIN, Host
from support.sandbox import wait_until

TEXT_LINE = re.compile(
    r'\[(?P<start>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\] "(?P<request>(?:[^"\\]|\\x[0-9a-f]{2})*)" (?P<status>\d+) '
    r'(?P<flags>-|[A-Z,]+) "(?P<reason>[^"]*)" (?P<received>\d+) (?P<sent>\d+) (?P<duration>\d+\.\d{3}) '
    r'(?P<first>-|\d+\.\d{3}) (?P<retries>\d+) "(?P<client>[^"]*)" "(?P<namespace>[^"]*)" "(?P<name>[^"]*)" '
    r'"(?P<authority>[^"]*)" "(?P<id>[^"]*)" (?P<peer>\S+) (?P<upstream>\S+)')


class AccessLogTest(unittest.TestCase):
    def start_host(self, *, path=None, **keys):
        """An agent with this [access_log], and a service whose one task is healthy."""
        self.host = Host()
        self.addCleanup(self.host.close)
        self.log = self.host.directory / "log" / "access.log"
        self.configure(path=str(self.log) if path is None else path, **keys)
        self.host.start()
        self.describe()
        return self.host

    def configure(self, **keys):
        with open(self.host.config, "a") as config:
            config.write("[access_log]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))

    def describe(self):
        self.host.namespace()
        self.host.connected_service("user-service", dns_name="user-svc", discovery_name="users")
        self.host.start_task("user-service")
        self.host.wait_healthy("users", 1)

    def ask(self, path):
        """The text of an answer, whatever its status (the example server knows no queries)."""
        return self.host.sandbox.run(["curl", "-sS", "--noproxy", "*", "-m", 10, "http://user-svc" + path]).stdout

    def set_access_log(self, configuration):
        """What the ECS service asks for; None: nothing."""
        connect = {"enabled": True, "namespace": "myapp.local", "services": [
            {"portName": "http", "discoveryName": "users", "clientAliases": [{"port": 80, "dnsName": "user-svc"}]}]}
        if configuration is not None:
            connect["accessLogConfiguration"] = configuration
        self.host.ecs("UpdateService", cluster="production", service="user-service", serviceConnectConfiguration=connect)
        self.host.wait_applied()

    def lines(self, count, path=None):
        """Waits for so many."""
        path = path or self.log

        def read():
            with contextlib.suppress(FileNotFoundError):
                found = path.read_text().splitlines()
                return found if len(found) >= count else None

        found = wait_until(read, 5, lambda: f"{count} lines in {path}; the agent's log:\n{self.host.log_tail()}")
        self.assertEqual(len(found), count, found)
        return found

    def directory(self):
        made = tempfile.TemporaryDirectory(prefix="cw-e2e-log-")
        self.addCleanup(made.cleanup)
        return pathlib.Path(made.name)

    def dropped(self, reason):
        return self.host.metric("causeway_access_log_dropped_total", reason=reason)


class Settings(AccessLogTest):
    def test_the_service_says_whether_and_how(self):
        host = self.start_host()
        host.get("http://user-svc/health")
        self.assertFalse(self.log.parent.exists(), "nothing is logged, nothing is opened")

        self.set_access_log({"format": "TEXT"})
        self.ask("/health?token=secret")
        line = TEXT_LINE.fullmatch(self.lines(1)[0])
        self.assertIsNotNone(line, self.lines(1))
        self.assertEqual((line["request"], line["status"], line["flags"], line["client"]), ("GET /health HTTP/1.1", "404", "-", "host"))
        self.assertRegex(line["upstream"], r"^127\.254\.\d+\.\d+:3000$")
        self.assertEqual(self.log.stat().st_mode & 0o777, 0o640)

        self.set_access_log({"format": "JSON", "includeQueryParameters": "ENABLED"})
        self.ask("/health?token=secret")
        line = json.loads(self.lines(2)[1])
        self.assertEqual(line["path"], "/health?token=secret")

        self.set_access_log({"format": "JSON", "includeQueryParameters": "DISABLED"})
        self.ask("/health?token=secret")
        self.assertEqual(json.loads(self.lines(3)[2])["path"], "/health")

        self.set_access_log(None)
        host.get("http://user-svc/health")
        self.set_access_log({"format": "JSON"})
        host.get("http://user-svc/api/users/2")
        self.assertEqual(json.loads(self.lines(4)[3])["path"], "/api/users/2")

    def test_the_host_says_it_for_all_others(self):
        host = self.start_host(enabled=True, format="json", include_query_parameters=True)
        host.client_service("caller")
        host.run_in_task("caller", ("curl", "-sS", "--noproxy", "*", "-H", "x-request-id: r-1", "http://user-svc/health?q"))
        line = json.loads(self.lines(1)[0])
        self.assertEqual((line["client"], line["path"], line["request_id"]), ("caller", "/health?q", "r-1"))
        self.assertEqual((line["namespace"], line["discovery_name"], line["authority"]), ("myapp.local", "users", "user-svc"))
        self.assertGreater(line["duration_ms"], 0)
        self.set_access_log({"format": "TEXT"})
        self.ask("/health?q")
        self.assertIn('"GET /health HTTP/1.1"', self.lines(2)[1], "the service's own setting is the stronger one")

    def test_without_a_path_nothing_is_logged(self):
        host = self.start_host(path="")
        self.set_access_log({"format": "TEXT"})
        host.get("http://user-svc/health")
        self.assertEqual(host.metric("causeway_access_log_lines_total"), 0)

    def test_flags_and_reasons(self):
        host = self.start_host(enabled=True, format="json")
        host.end_tasks()
        wait_until(lambda: not host.instances("users"), 10, "the task is gone")
        host.wait_applied()
        answer = self.ask("/x")
        line = json.loads(self.lines(1)[0])
        self.assertEqual((line["status"], line["flags"]), (503, ["UH"]))
        self.assertIn(line["reason"], answer)

    def test_nobody_can_forge_a_line(self):
        host = self.start_host(enabled=True, format="json")
        raw = (b'GET /a"b\\c\xff\xe2\x80\xa8{"status":200} HTTP/1.1\r\nhost: user-svc\r\nx-request-id: "},{"\r\n'
               b"connection: close\r\n\r\n")
        client = ["python3", "-c", "import socket; s = socket.create_connection(('user-svc', 80)); s.settimeout(5);"
                                   f"s.sendall({raw!r}); s.recv(1000)"]
        host.sandbox.run(client)
        line = json.loads(self.lines(1)[0])
        self.assertEqual((line["path"], line["request_id"]), ('/a"b\\c\ufffd\u2028{"status":200}', '"},{"'))
        self.set_access_log({"format": "TEXT"})
        host.sandbox.run(client)
        self.assertEqual(TEXT_LINE.fullmatch(self.lines(2)[1])["request"],
                         r'GET /a\x22b\x5cc\xff\xe2\x80\xa8{\x22status\x22:200} HTTP/1.1')

    def test_a_relayed_connection_is_a_line(self):
        host = self.start_host(enabled=True, format="json")
        host.connected_service("raw", dns_name="raw", alias_port=7000)
        host.start_task("raw", ("python3", "-c", "import socket; s = socket.socket(); s.bind(('', 3000)); s.listen()\n"
                                                 "while True: c = s.accept()[0]; c.sendall(b'banner'); c.recv(10); c.close()"))
        host.wait_healthy("raw", 1)
        host.sandbox.run(["python3", "-c", "import socket; s = socket.create_connection(('raw', 7000)); s.recv(10); s.sendall(b'bye')"])
        line = json.loads(self.lines(1)[0])
        self.assertEqual((line["protocol"], line["method"], line["status"]), ("TCP", None, 0))
        self.assertEqual((line["bytes_received"], line["bytes_sent"], line["discovery_name"]), (3, 6, "raw"))


class Outputs(AccessLogTest):
    def test_sighup_opens_the_file_again(self):
        host = self.start_host(enabled=True)
        host.get("http://user-svc/health")
        self.lines(1)
        old = self.log.with_suffix(".1")
        self.log.rename(old)
        host.get("http://user-svc/health")
        self.lines(2, old)
        host.agent.send_signal(signal.SIGHUP)
        wait_until(self.log.exists, 5, "it is there again")
        host.get("http://user-svc/health")
        self.lines(1)
        self.lines(2, old)
        self.assertIsNone(host.agent.poll())

    def test_a_new_proxy_and_one_without_an_agent_log_on(self):
        host = self.start_host(enabled=True)
        host.get("http://user-svc/health")
        self.lines(1)
        pid = host.proxy_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: [p for p in host.proxy_pids() if p != pid], 5, "another proxy runs")
        host.get("http://user-svc/health", "--retry", "5", "--retry-all-errors")
        self.lines(2)
        alias = host.causeway_json("explain", "user-svc")  # the name is answered by the agent alone
        address = re.search(r"127\.255\.\d+\.\d+", json.dumps(alias))[0]
        host.kill_agent()
        host.get(f"http://{address}/health")
        self.lines(3)
        host.start()
        host.get("http://user-svc/health")
        self.lines(4)

    def test_a_clean_stop_writes_the_last_lines(self):
        host = self.start_host(enabled=True)
        for _ in range(20):
            host.get("http://user-svc/health")
        host.end_tasks()
        host.stop()
        self.assertEqual(len(self.log.read_text().splitlines()), 20)

    def test_a_pipe_that_nobody_reads_costs_lines_and_nothing_else(self):
        fifo = self.directory() / "fifo"
        os.mkfifo(fifo)
        host = self.start_host(enabled=True, path=str(fifo), include_query_parameters=True)
        # Long lines: fewer requests fill the pipe and all blocks.
        requests = 8000
        counts = host.finish_load(host.load("http://user-svc/api/users/" + "1" * 1400, requests=requests, connections=8))
        self.assertEqual(counts["ok"], requests)
        wait_until(lambda: self.dropped("buffer") > 0, 5, "lines are dropped")
        self.assertTrue(host.is_ready())
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        read = bytearray()

        def drain():
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(reader, 1 << 16):
                    read.extend(chunk)
            return read.count(b"\n") == host.metric("causeway_access_log_lines_total")

        wait_until(drain, 10, "what was not dropped is read")
        for line in read.decode().splitlines():
            self.assertIsNotNone(TEXT_LINE.fullmatch(line), line)
        self.assertEqual(read.count(b"\n") + self.dropped("buffer"), requests)
        self.assertEqual(self.dropped("output"), 0)

    def test_standard_output_whose_reader_goes_away(self):
        self.host = host = Host()
        self.addCleanup(host.close)
        self.configure(path="stdout", enabled=True, format="json")
        with open(host.log, "a") as log:
            host.agent = host.sandbox.popen([BIN / "causewayd", "--config", host.config], cgroup=host.sandbox.cgroup,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        wait_until(host.is_ready, 10, host.log_tail)
        host.credentials = host.read_credentials()
        self.describe()
        host.get("http://user-svc/health")
        self.assertEqual(json.loads(host.agent.stdout.readline())["path"], "/health")
        host.agent.stdout.close()
        host.get("http://user-svc/health")
        wait_until(lambda: self.dropped("output") == 1, 5, "the line is dropped")
        host.get("http://user-svc/health")
        self.assertEqual(host.metric("causeway_proxy_restarts_total"), 0)

    def test_a_full_disk(self):
        disk = self.directory()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "cw-e2e", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", disk], check=True)
        path = disk / "access.log"
        host = self.start_host(enabled=True, path=str(path), include_query_parameters=True)
        counts = host.finish_load(host.load("http://user-svc/api/users/" + "1" * 1400, requests=500, connections=4))
        self.assertEqual(counts["ok"], 500)
        # All but the one that fitted in part: those still to come would take the room again.
        wait_until(lambda: path.read_text().count("\n") + self.dropped("output") >= 499, 10, "all lines are written or dropped")
        self.assertGreater(self.dropped("output"), 0, "lines do not fit")
        os.truncate(path, 0)
        host.get("http://user-svc/api/users/later")
        wait_until(lambda: "/later " in path.read_text(), 5, host.log_tail)
        first, *others = path.read_text().splitlines()
        for line in others:  # the first may be the end of one that was begun when the disk was full
            self.assertIsNotNone(TEXT_LINE.fullmatch(line), line)
        self.assertEqual(host.metric("causeway_proxy_restarts_total"), 0)
        self.assertTrue(first)

    def test_a_path_that_cannot_be_opened_is_said_and_tried_again(self):
        host = self.start_host(path="/proc/no-such-directory/access.log")
        self.set_access_log({"format": "TEXT"})
        host.get("http://user-svc/health")
        wait_until(lambda: "open access log /proc/no-such-directory/access.log" in host.log_tail(200), 5, host.log_tail)
        wait_until(lambda: self.dropped("output") == 1, 5, "the line is dropped")


if __name__ == "__main__":
    unittest.main()
