"""Processor time and memory, as the kernel counts them."""
import contextlib
import os
import resource
import time


def _own_seconds():
    """This tool's: it is not part of what it measures."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class MachineCpu:
    """All processors' time that was neither idle nor taken by another guest of the hypervisor. Counted from the idle time: that
    is exact to the tick, the other columns are sampled at ticks."""

    name = "machine"

    def __init__(self, _topology):
        pass

    def seconds(self):
        with open("/proc/stat") as stat:
            fields = [int(field) for field in stat.readline().split()[1:]]
        idle, iowait, steal = fields[3], fields[4], fields[7]
        return os.cpu_count() * time.monotonic() - (idle + iowait + steal) / os.sysconf("SC_CLK_TCK") - _own_seconds()


class OwnCpu:
    """Time of the processes of both sides (load, proxies, endpoint), with what the kernel did on their behalf; for a machine that
    does other work meanwhile. What interrupts did outside any process is missing."""

    name = "own"

    def __init__(self, topology):
        self._files = [sandbox.cgroup + "/cpu.stat" for sandbox in (topology.client, topology.server)]

    def seconds(self):
        total = 0
        for path in self._files:
            with open(path) as stat:
                total += next(int(line.split()[1]) for line in stat if line.startswith("usage_usec "))
        return total / 1e6


METHODS = {method.name: method for method in (MachineCpu, OwnCpu)}


def pss_kib(pids):
    """Proportional set size of these processes together."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/smaps_rollup") as rollup:
            total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total
