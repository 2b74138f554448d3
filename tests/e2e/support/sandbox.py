"""A host of its own on this machine: a network namespace and a cgroup, with processes inside both."""
import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def wait_until(condition, seconds, what):
    """Returns the first true value of condition(); fails with `what` after that many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.005)


def cgroup2_mount():
    with open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            if " - cgroup2 " in line:
                return line.split()[4]
    raise RuntimeError("no cgroup v2 is mounted")


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Sandbox:
    def __init__(self):
        if os.geteuid() != 0:
            raise RuntimeError("the end-to-end tests make network namespaces and cgroups: run them as root")
        self.name = f"cw-e2e-{os.getpid()}-{next(_numbers)}"
        self.directory = tempfile.mkdtemp(prefix=self.name + "-")
        os.chmod(self.directory, 0o755)  # tasks of other users run from here
        self.mount = cgroup2_mount()
        self.cgroup = f"{self.mount}/{self.name}"
        self.clients = f"{self.cgroup}/clients"
        os.makedirs(self.clients)
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self._netns = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        self._own_netns = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._children = []
        self.run(["ip", "link", "set", "lo", "up"])

    # -- processes

    def popen(self, arguments, *, cgroup=None, **options):
        """Starts a program in the namespace and, unless another is given, in the intercepted `clients` cgroup."""
        procs = os.open((cgroup or self.clients) + "/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        netns = self._netns

        def enter():
            _setns(netns)
            os.write(procs, b"0")

        try:
            process = subprocess.Popen([str(a) for a in arguments], preexec_fn=enter, **options)
        finally:
            os.close(procs)
        self._children.append(process)
        return process

    def run(self, arguments, *, timeout=60, check=True, **options):
        """Runs a program to its end; its output is text. A failure shows what it printed."""
        options.setdefault("stdin", subprocess.DEVNULL)
        process = self.popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{arguments} took over {timeout} s; it printed: {out}{err}") from None
        if check and process.returncode != 0:
            raise AssertionError(f"{arguments} ended with {process.returncode}: {out}{err}")
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @contextlib.contextmanager
    def inside(self):
        """Sockets that this thread makes meanwhile belong to the namespace (but are not intercepted)."""
        _setns(self._netns)
        try:
            yield
        finally:
            _setns(self._own_netns)

    # -- what is there

    def cgroup_directories(self):
        return [path for path, _, _ in os.walk(self.cgroup)]

    def processes(self):
        """Live processes of the cgroup, and of the namespace wherever they are."""
        found = set()
        for directory in self.cgroup_directories():
            with contextlib.suppress(OSError), open(directory + "/cgroup.procs") as procs:
                found.update(int(pid) for pid in procs.read().split())
        inode = os.fstat(self._netns).st_ino
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}/ns/net").st_ino == inode:
                    found.add(int(pid))
        return found - {os.getpid()}

    def describe(self, pids):
        lines = []
        for pid in sorted(pids):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline") as command:
                lines.append(f"{pid} {command.read().replace(chr(0), ' ').strip()}")
        return "; ".join(lines)

    # -- end

    def kill_processes(self):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not self.processes()

    def end_processes(self):
        # Once is not enough: a master whose workers end first starts others.
        wait_until(self.kill_processes, 5, lambda: "these end: " + self.describe(self.processes()))
        for process in self._children:
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        wait_until(lambda: not self.processes(), 5, lambda: "these end: " + self.describe(self.processes()))

    def close(self):
        self.end_processes()
        for directory in reversed(self.cgroup_directories()):
            os.rmdir(directory)
        os.close(self._netns)
        os.close(self._own_netns)
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
        shutil.rmtree(self.directory)
