"""The README's first command, as a user runs it, on this machine's own network namespace and cgroup root."""
import os
import subprocess
import tempfile
import unittest

from causeway_host import TOP


class Quickstart(unittest.TestCase):
    def test_once(self):
        with tempfile.TemporaryDirectory() as elsewhere:
            run = subprocess.run([TOP / "tools/quickstart", "--once"], cwd=elsewhere, capture_output=True, text=True, timeout=280)
        print("\n" + run.stdout)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("first answered request by name", run.stdout)
        self.assertIn("nothing left behind", run.stdout)
        for path in ("/var/lib/causeway-quickstart", "/sys/fs/bpf/causeway"):
            self.assertFalse(os.path.exists(path), path)

    def test_refused_without_root(self):
        run = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", TOP / "tools/quickstart"],
                             capture_output=True, text=True, timeout=30, cwd="/")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("root", run.stderr)
