"""What the BPF programs themselves take of a request, as the kernel counts it: no noise of the rest of the machine is in it."""
import contextlib
import ctypes
import json
import os
import subprocess

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


def by_name(programs, loaded):
    """Runs and nanoseconds of those programs while `loaded()` makes its requests: {name: (runs, nanoseconds)}, a request."""
    with counted():
        before = listed()
        requests = loaded()
        after = listed()
    rose = {}
    for program in programs:
        runs, time = (after[program].get(field, 0) - before[program].get(field, 0) for field in ("run_cnt", "run_time_ns"))
        if runs:
            earlier = rose.get(after[program]["name"], (0, 0))
            rose[after[program]["name"]] = earlier[0] + runs / requests, earlier[1] + time / requests
    return rose
