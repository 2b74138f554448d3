"""What the BPF programs themselves take of a request, as the kernel counts it: the clock's time from the beginning of each run to its end. What
the machine does between runs is not in it; interrupts, and what the hypervisor takes (steal), during a run are."""
import contextlib
import ctypes
import json
import os
import subprocess

import measure

SYS_BPF = {"x86_64": 321, "aarch64": 280}
BPF_ENABLE_STATS = 32  # Linux 5.8; counts until the descriptor is closed


@contextlib.contextmanager
def counted():
    """The kernel counts runs and time of all programs meanwhile."""
    number = SYS_BPF[os.uname().machine]
    run_time = ctypes.create_string_buffer(128)  # union bpf_attr: enable_stats.type 0, BPF_STATS_RUN_TIME
    descriptor = ctypes.CDLL(None, use_errno=True).syscall(number, BPF_ENABLE_STATS, run_time, len(run_time))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "BPF_ENABLE_STATS")
    try:
        yield
    finally:
        os.close(descriptor)


def listed():
    """{id: program} of all that are loaded."""
    shown = subprocess.run(["bpftool", "prog", "show", "-j"], check=True, capture_output=True, text=True)
    return {program["id"]: program for program in json.loads(shown.stdout)}


def by_name(host, loaded):
    """Of the programs that hang on the host's cgroups, runs and nanoseconds while `loaded()` makes its requests: {name: (runs, nanoseconds)},
    a request. Others that come and go on the machine meanwhile do not matter; one of these that goes raises CheckFailed."""
    attached = {program["id"] for program in host.attached()}
    with counted():
        before = listed()
        requests = loaded()
        after = listed()
    gone = attached - (before.keys() & after.keys())
    if gone or not attached:
        raise measure.CheckFailed(f"of the {len(attached)} BPF programs of the kernel path, {len(gone)} went away under the load")
    rose = {}
    for program in attached:
        runs, time = (after[program].get(field, 0) - before[program].get(field, 0) for field in ("run_cnt", "run_time_ns"))
        if runs:
            earlier = rose.get(after[program]["name"], (0, 0))
            rose[after[program]["name"]] = earlier[0] + runs / requests, earlier[1] + time / requests
    return rose
