"""What stops the agent from starting: it says what is wrong and what to do, ends, and leaves nothing behind."""
import os
import socket
import sqlite3
import subprocess
import unittest

from causeway_host import BIN, Host
from support import sigv4


class StartupFaults(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)

    def fails(self, *words, host=None):
        host = host or self.host
        agent = host.launch()
        status = agent.wait(15)
        host.agent = None
        log = host.log.read_text()
        self.assertNotEqual(status, 0, log)
        self.assertGreater(status, 0, "it must not die of a signal:\n" + log)
        for word in words:
            self.assertIn(word, log)
        host.assert_nothing_attached()
        self.assertEqual(host.proxy_pids(), [])
        return log

    def check(self, text):
        self.host.config.write_text(text)
        return self.host.sandbox.run([BIN / "causewayd", "--check", "--config", self.host.config], check=False)

    def test_wrong_keys_are_named_with_line_and_nearest(self):
        checked = self.check('[paths]\ndata_dir = "/tmp/x"\n\n[proxy]\nworker = 2\n')
        self.assertEqual(checked.returncode, 1)
        self.assertIn("causeway.toml:5", checked.stderr)
        self.assertIn("worker", checked.stderr)
        self.assertIn("workers", checked.stderr.replace('"worker"', ""))

    def test_every_problem_is_named_at_once(self):
        checked = self.check('[proxi]\n[proxy]\nworkers = "two"\n[listen]\napi = "127.0.0.1:99999"\n')
        for place in (":1", ":3", ":5"):
            self.assertIn("causeway.toml" + place, checked.stderr)
        self.assertIn("causeway.toml", self.check("this is not TOML").stderr)

    def test_a_good_file_passes_the_check(self):
        text = self.host.config.read_text()
        self.assertEqual(self.check(text).returncode, 0, self.check(text).stderr)

    def test_a_wrong_file_does_not_start(self):
        self.host.config.write_text('[proxy]\nworker = 2\n')
        self.fails("causeway.toml:2", "workers")

    def test_configuration_file_missing(self):
        self.host.config.unlink()
        self.fails(str(self.host.config))

    def test_ports_taken(self):
        for port, key in ((7070, "listen.api"), (7071, "listen.admin"), (15053, "listen.dns"), (15001, "listen.proxy_port")):
            with self.subTest(port), self.host.sandbox.inside():
                taken = socket.create_server(("127.0.0.1", port))
            with taken:
                self.host.log.unlink(missing_ok=True)
                self.fails(str(port), key)

    def test_second_agent_of_the_same_run_directory(self):
        self.host.start()
        second = self.host.sandbox.run([BIN / "causewayd", "--config", self.host.config], check=False, cgroup=self.host.sandbox.cgroup)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn(str(self.host.agent.pid), second.stderr)
        self.assertTrue(self.host.is_ready())

    def test_second_agent_of_the_same_cgroup_or_pins(self):
        """Of other directories and ports, it must not take the first one's proxy and programs over."""
        self.host.start()
        second = Host()
        self.addCleanup(second.close)
        own = second.config.read_text()
        for key, words in (("subtree", "cgroup.subtree"), ("pin_root", "paths.pin_root")):
            with self.subTest(key):
                line = next(line for line in self.host.config.read_text().splitlines() if line.startswith(key))
                second.config.write_text("\n".join(line if other.startswith(key) else other for other in own.splitlines()))
                done = second.sandbox.run([BIN / "causewayd", "--config", second.config], check=False, cgroup=second.sandbox.cgroup)
                self.assertGreater(done.returncode, 0)
                self.assertIn("another agent", done.stderr)
                self.assertIn(words, done.stderr)
                self.assertTrue(self.host.is_ready())
                self.assertEqual(self.host.metric("causeway_proxy_restarts_total"), 0)
        second.config.write_text(own)

    def test_without_root(self):
        agent = self.host.sandbox.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BIN / "causewayd",
                                       "--config", self.host.config], check=False)
        self.assertGreater(agent.returncode, 0)
        self.assertIn("root", agent.stderr)
        command = self.host.sandbox.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BIN / "causeway",
                                         *self.host.socket_options(), "status"], check=False)
        self.assertGreater(command.returncode, 0)
        self.assertTrue(command.stderr)

    def test_without_bpf(self):
        agent = self.host.sandbox.run(["setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin", BIN / "causewayd",
                                       "--config", self.host.config], check=False, cgroup=self.host.sandbox.cgroup)
        self.assertGreater(agent.returncode, 0)
        self.assertRegex(agent.stderr, r"(?i)bpf|permi")

    def test_without_cgroup_v2(self):
        host = Host({"cgroup": {"mount": "/tmp"}})
        self.addCleanup(host.close)
        self.fails("/tmp", "cgroup", host=host)

    def test_store_removed_while_it_runs(self):
        self.host.start()
        self.host.finished(self.host.cloud_map("CreateHttpNamespace", Name="before"))
        (self.host.directory / "data/causeway.db").unlink()
        with self.assertRaises(sigv4.ApiError) as refused:
            self.host.cloud_map("CreateHttpNamespace", Name="after")
        self.assertIn("removed or replaced", str(refused.exception))
        self.assertEqual([n["Name"] for n in self.host.cloud_map("ListNamespaces")["Namespaces"]], ["before"])

    def test_store_that_is_no_database(self):
        os.makedirs(self.host.directory / "data")
        (self.host.directory / "data/causeway.db").write_bytes(b"not a database " * 1000)
        self.fails("causeway.db")

    def test_store_with_a_record_that_cannot_be_read(self):
        self.host.start()
        self.host.namespace()
        self.host.stop()
        path = self.host.directory / "data/causeway.db"
        with sqlite3.connect(path) as database:
            tables = [n for n, in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            changed = 0
            for table in tables:
                columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
                if "value" in columns and "key" in columns:
                    changed += database.execute(f'UPDATE "{table}" SET value = \'{{broken\' WHERE key LIKE \'/namespaces/%\'').rowcount
        database.close()
        self.assertGreater(changed, 0, tables)
        self.host.log.unlink()
        self.fails("/namespaces/")

    def test_data_directory_not_writable(self):
        (self.host.directory / "data").write_text("a file where a directory should be")
        self.fails(str(self.host.directory / "data"))

    def test_disk_full(self):
        data = self.host.directory / "data"
        data.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", data], check=True)
        self.addCleanup(subprocess.run, ["umount", data], check=True)
        self.host.start()
        self.addCleanup(self.host.stop)  # before the unmount
        self.host.namespace()
        with open(data / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        from support.sigv4 import ApiError
        with self.assertRaises(ApiError) as refused:
            for n in range(200):
                self.host.cloud_map("CreateHttpNamespace", Name=f"n-{n}-" + "x" * 900)
        self.assertEqual(refused.exception.status, 500)
        self.assertTrue(self.host.is_ready())
        os.unlink(data / "filler")
        self.host.cloud_map("CreateHttpNamespace", Name="after")
        names = [n["Name"] for n in self.host.cloud_map("ListNamespaces")["Namespaces"]]
        self.assertIn("after", names)
