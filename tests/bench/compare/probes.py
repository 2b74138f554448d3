"""perf, or strace where the kernel or the machine lets perf not, looking at a process beside a load."""
import collections
import contextlib
import glob
import os
import pathlib
import re
import signal
import subprocess

from support.sandbox import wait_until

SAMPLES_PER_SECOND = 4999  # a prime: in step with nothing
TRACER = re.compile(r"^TracerPid:\s*[1-9]", re.MULTILINE)


class ProbeFailed(Exception):
    pass


class Probes:
    def __init__(self, topology, pid):
        self.client = topology.client
        self.cgroup = topology.bystander()
        self.pid = pid
        self.directory = pathlib.Path(topology.client.directory)

    # -- system calls

    def has_tracepoints(self):
        tried = self.client.run(self._with_tracefs("perf stat -e raw_syscalls:sys_enter true"), cgroup=self.cgroup, check=False)
        return tried.returncode == 0

    @contextlib.contextmanager
    def system_calls(self):
        """Yields a dictionary that holds {call: count} after the block."""
        counts = {}
        out = self.directory / "calls"
        if self.has_tracepoints():
            with self._perf(f"perf stat -x, -o {out} -e 'syscalls:sys_enter_*' -p {self.pid}", self._with_tracefs):
                yield counts
            found = re.findall(r"^(\d+),,syscalls:sys_enter_(\w+),", out.read_text(), re.MULTILINE)
        else:
            with self._beside(["strace", "-c", "-f", "-p", self.pid, "-o", out], lambda _: self._is_traced()):
                yield counts
            # % time, seconds, usecs/call, calls, errors (or nothing), name
            rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", out.read_text(), re.MULTILINE)
            found = [(count, name) for count, name in rows if name != "total"]
        counts.update({name: int(count) for count, name in found if int(count)})

    def _is_traced(self):
        return all(TRACER.search(pathlib.Path(task, "status").read_text()) for task in glob.glob(f"/proc/{self.pid}/task/*"))

    # -- time

    @contextlib.contextmanager
    def samples(self):
        """Yields a Counter that holds {(function, file): samples} after the block: where its processors' time went, in the kernel too."""
        counts = collections.Counter()
        out = self.directory / "samples"
        with self._perf(f"perf record -q -e cpu-clock -F {SAMPLES_PER_SECOND} -o {out} -p {self.pid}"):
            yield counts
        shown = self.client.run(["perf", "report", "-i", out, "--stdio", "-q", "-F", "sample,dso,sym", "-t", "|"], cgroup=self.cgroup)
        for line in shown.stdout.splitlines():
            fields = [field.strip() for field in line.split("|")]
            if len(fields) == 3 and fields[0].isdigit():
                name = re.sub(r"^\[[.k]\] ", "", fields[2])
                counts[name, "kernel" if fields[2].startswith("[k]") else os.path.basename(fields[1])] += int(fields[0])

    # -- the programs

    @staticmethod
    def _with_tracefs(command):
        """Tracepoints are named there; the mount is seen by this command alone."""
        return ["unshare", "--mount", "sh", "-c", f"mount -t tracefs tracefs /sys/kernel/tracing && {command}"]

    @contextlib.contextmanager
    def _perf(self, command, around=lambda command: ["sh", "-c", command]):
        """perf begins to count when it is told to, and answers that it does."""
        control, answers = (self.directory / name for name in ("control", "answers"))
        for fifo in (control, answers):
            fifo.unlink(missing_ok=True)
            os.mkfifo(fifo, 0o600)
        # Opened for both directions, so that nobody waits for the other side to open.
        with open(control, "r+b", buffering=0) as asks, open(answers, "r+b", buffering=0) as hears:
            os.set_blocking(hears.fileno(), False)
            asks.write(b"enable\n")
            with self._beside(around(f"exec {command} -D -1 --control fifo:{control},{answers}"), lambda _: b"ack" in (hears.read(64) or b"")):
                yield

    @contextlib.contextmanager
    def _beside(self, arguments, has_begun):
        log = self.directory / "probe.log"
        with open(log, "w") as out:
            probe = self.client.popen(arguments, cgroup=self.cgroup, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_until(lambda: probe.poll() is not None or has_begun(log), 30, lambda: f"{arguments[0]} begins: {log.read_text()}")
            if probe.poll() is not None:
                raise ProbeFailed(f"{' '.join(map(str, arguments))} ended with {probe.returncode}: {log.read_text()}")
            yield
            probe.send_signal(signal.SIGINT)
            probe.wait(30)
        finally:
            probe.kill()
            probe.wait()


def cpu_seconds(pid):
    """Processor time of all threads of a process so far."""
    total = 0
    for schedstat in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        total += int(pathlib.Path(schedstat).read_text().split()[0])
    return total / 1e9
