"""tools/compare and tools/profile measure what they say, refuse wrong answers, and leave nothing behind."""
import csv
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from causeway_host import TOP
from support.sandbox import wait_until

COMPARE, PROFILE = TOP / "tools/compare", TOP / "tools/profile"
TINY = ("--rounds", "1", "--seconds", "0.3", "--cpu", "own", "--peers", "causeway,haproxy")


def namespaces(tool):
    """Those that this process made."""
    return [name for name in os.listdir("/run/netns") if name.startswith(f"cw-e2e-{tool.pid}-")] if os.path.exists("/run/netns") else []


class ToolTest(unittest.TestCase):
    tool = COMPARE

    def start(self, *arguments):
        return subprocess.Popen([self.tool, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, tool):
        try:
            out, err = tool.communicate(timeout=200)
        finally:
            tool.kill()
        self.assertEqual(namespaces(tool), [], out + err)
        return subprocess.CompletedProcess(tool.args, tool.returncode, out, err)

    def run_tool(self, *arguments):
        return self.finish(self.start(*arguments))


class Comparison(ToolTest):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def test_rows_and_plot(self):
        table, plot = self.directory / "rows.csv", self.directory / "plot.png"
        done = self.run_tool(*TINY, "--cases", "(http|tcp)-32-keep-200B", "--csv", table, "--png", plot)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(table) as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["case"], row["peer"]) for row in rows],
                         [(f"{protocol}-32-keep-200B", peer) for protocol in ("http", "tcp") for peer in ("direct", "causeway", "haproxy")])
        for row in rows:
            requests, served = int(row["requests"]), int(row["endpoint_requests"])
            self.assertGreater(requests, 100, row)
            self.assertTrue(requests <= served <= requests + 32, row)
            self.assertGreater(float(row["cpu_us"]), 0, row)
            self.assertLessEqual(float(row["p50_us"]), float(row["p99_us"]), row)
            self.assertAlmostEqual(float(row["requests_per_second"]), requests / float(row["seconds"]), delta=requests / 100)
            if row["peer"] == "direct":
                self.assertEqual(float(row["beyond_direct_us"]), 0, row)
                continue
            self.assertGreater(int(row["pss_kib"]), 1000, row)
            self.assertGreaterEqual(float(row["proxy_connections"]), 32, row)
            if row["protocol"] == "http":
                self.assertGreaterEqual(float(row["proxy_requests"]), requests, row)
        self.assertRegex(done.stdout, r"(?m)^  causeway +\d+ ")
        self.assertEqual(plot.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")

    def test_ways_without_a_proxy(self):
        ways = ("causeway-kernel", "dnat", "direct-again")
        table = self.directory / "rows.csv"
        done = self.run_tool("--rounds", "1", "--seconds", "0.3", "--cpu", "own", "--peers", ",".join(ways),
                             "--cases", "http-1-keep-200B,tcp-32-(keep|close)-200B", "--csv", table)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(table) as file:
            found = [(row["case"], row["peer"], row["proxy_connections"]) for row in csv.DictReader(file)]
        self.assertEqual([each[:2] for each in found], [("http-1-keep-200B", "direct")] + [
            (f"tcp-32-{lives}-200B", peer) for lives in ("keep", "close") for peer in ("direct", *ways)])
        for _, peer, counted in found:
            self.assertEqual(counted != "", peer == "causeway-kernel", "the BPF programs counted its connections, nobody those of the others")

    def test_wrong_answers_end_it(self):
        for fault, complaint in (("status", "wrk met errors in .*'status'"), ("size", "wrk read .* bytes in|is not the endpoint's file"),
                                 ("endpoint", "an answer came from"), ("bypass", "did not go through it|wrk read .* bytes in")):
            with self.subTest(fault):
                done = self.run_tool(*TINY, "--cases", "tcp-1-keep-200B", "--fault", fault)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertRegex(done.stderr, complaint)

    def test_memory_of_idle_connections(self):
        done = self.run_tool("--idle", "50", "--peers", "causeway")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(re.findall(r"(?m)^causeway +(http|tcp) +[\d.]+ +[\d.]+ +-?[\d.]+$", done.stdout), ["http", "tcp"])

    def test_growing_tables(self):
        table, plot = self.directory / "rows.csv", self.directory / "plot.png"
        done = self.run_tool("--scale", "--sizes", "1x1,3x9", "--rounds", "1", "--seconds", "0.2", "--cpu", "own", "--csv", table, "--png", plot)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(table) as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["services"], row["endpoints"], row["peer"]) for row in rows],
                         [(*size, peer) for size in (("1", "1"), ("3", "9")) for peer in ("direct", "causeway-kernel", "direct-again", "dnat")])
        for row in rows:
            self.assertGreater(int(row["connections"]), 100, row)
            self.assertGreater(float(row["cpu_us"]), 0, row)
            self.assertLessEqual(float(row["p50_us"]), float(row["p99_us"]), row)
        self.assertRegex(done.stdout, r"(?m)^  causeway-kernel +3 x 9 +[\d.]+ ")
        for peer in ("direct-again", "causeway-kernel"):
            self.assertRegex(done.stdout, rf"(?m)^  {peer} +[+-][\d.]+ us \(.* \.\. .*\), [+-][\d.]+ % \(.* \.\. .*\)")
        self.assertRegex(done.stdout, r"a service with an alias: \d+ B")
        self.assertRegex(done.stdout, r"(?m)^  an endpoint: \d+ B")
        self.assertEqual(plot.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")

    def test_an_interrupt_takes_everything_down(self):
        table = self.directory / "rows.csv"
        moments = {"while it starts": namespaces, "while it measures": lambda _: table.exists() and table.read_text().count("\n") > 1}
        for name, has_come in moments.items():
            with self.subTest(name):
                tool = self.start("--peers", "causeway", "--rounds", "1000", "--seconds", "0.3", "--cases", "http-1-keep-200B", "--csv", table)
                try:
                    wait_until(lambda: has_come(tool) or tool.poll() is not None, 60, "the moment comes")
                finally:
                    tool.send_signal(signal.SIGINT)
                done = self.finish(tool)
                self.assertEqual(done.returncode, 128 + signal.SIGINT, done.stdout + done.stderr)

    def test_bad_usage(self):
        for arguments, complaint in ((("--cases", "nothing"), "no case is called"), (("--peers", "apache"), 'there is no "apache"'),
                                     (("--seconds", "nan"), "no number from"), (("--csv", "/nowhere/x"), "there is no directory"),
                                     (("--idle", "100000"), "relayed connections")):
            with self.subTest(arguments):
                done = self.run_tool(*arguments)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn(complaint, done.stderr)


class Profile(ToolTest):
    tool = PROFILE
    TINY = ("--seconds", "0.5", "--functions", "5", "--cases", "tcp-32-keep-200B")

    def test_calls_and_time(self):
        done = self.run_tool(*self.TINY)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        # A relay reads and writes for the request and for the answer, seldom for two of them at a time.
        self.assertTrue(2 < float(re.search(r"system calls a request: ([\d.]+)", done.stdout)[1]) < 12, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^ +[\d.]+  (recv\w*|readv?)$")
        self.assertGreater(float(re.search(r"time of the proxy a request: ([\d.]+) us", done.stdout)[1]), 0.5)
        self.assertRegex(done.stdout, r"(?m)^ +[\d.]+ us +[\d.]+ %  kernel$")
        self.assertRegex(done.stdout, r"(?m)^ +[\d.]+ us +[\d.]+ %  \S+.*  \(kernel\)$")

    def test_instructions(self):
        done = self.run_tool(*self.TINY, "--instructions")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreater(int(re.search(r"instructions of the proxy a request.*: (\d+), by function", done.stdout)[1]), 100)
        self.assertRegex(done.stdout, r"(?m)^ +\d+  causeway::")

    def test_programs(self):
        done = self.run_tool("--programs", "--seconds", "0.5", "--cases", "tcp-32-close-200B")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        runs = {name: float(count) for count, name in re.findall(r"(?m)^ +([\d.]+) runs +[\d.]+ us  (\w+)$", done.stdout)}
        # A connection a request: one dial, and sock_ops for that, for its establishment and for each change of its state.
        self.assertTrue(0.9 < runs["connect4"] < 1.2, done.stdout)
        self.assertGreater(runs["sock_ops"], 3, done.stdout)
        self.assertGreater(float(re.search(r"(?m)^ +([\d.]+) us  together$", done.stdout)[1]), 0, done.stdout)

    def test_bad_usage(self):
        for arguments, complaint in ((("--cases", "nothing"), "no case is called"),
                                     (("--programs", "--cases", "http-32-keep-200B"), "the kernel path knows no HTTP"),
                                     (("--programs", "--instructions"), "give one of them")):
            with self.subTest(arguments):
                done = self.run_tool(*arguments)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn(complaint, done.stderr)
