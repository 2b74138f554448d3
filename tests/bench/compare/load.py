"""Load by wrk, and single requests by curl, from a process of the client's side."""
import json
import pathlib
import re
import signal
import subprocess
import time

from support.sandbox import wait_until

SCRIPT = pathlib.Path(__file__).with_name("wrk.lua")
HOST = "bench"
ANSWER_TIMEOUT = 15


class LoadError(Exception):
    pass


def url(target, case):
    return f"http://{target[0]}:{target[1]}{case.path}"


def _headers(case):
    """The same for wrk and curl, so that their answers have the same length."""
    return ["-H", f"Host: {HOST}", *([] if case.kept else ["-H", "Connection: close"])]


def _catches_interrupt(pid):
    with open(f"/proc/{pid}/status") as status:
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status.read(), re.MULTILINE)
    return int(caught[1], 16) >> (signal.SIGINT - 1) & 1


def run(client, cgroup, target, case, seconds, *, threads, meanwhile=None):
    """Runs wrk for that long (fractions of a second too) and returns what it counted. `meanwhile` is called a few times."""
    arguments = ["wrk", "-t", min(threads, case.connections), "-c", case.connections, "-d", "3600s", "--timeout", f"{ANSWER_TIMEOUT}s",
                 "-s", SCRIPT, *_headers(case)]
    wrk = client.popen([*arguments, url(target, case)], cgroup=cgroup, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)
    try:
        # Once it catches SIGINT its threads have begun; the signal then ends the load as the end of its time would.
        wait_until(lambda: wrk.poll() is not None or _catches_interrupt(wrk.pid), 10, "wrk begins")
        end = time.monotonic() + seconds
        looks = 3
        for look in range(looks):
            time.sleep(max(0, end - time.monotonic()) / (looks - look))
            if meanwhile:
                meanwhile()
        wrk.send_signal(signal.SIGINT)
        out, err = wrk.communicate(timeout=ANSWER_TIMEOUT + 10)
    finally:
        if wrk.poll() is None:
            wrk.kill()
            wrk.wait()
    if wrk.returncode != 0 or not out.strip().endswith("}"):
        raise LoadError(f"wrk ended with {wrk.returncode}: {out}{err}")
    return json.loads(out.strip().splitlines()[-1])


def fetch(client, cgroup, target, case, directory):
    """One request: status, the endpoint's name, the body, and the bytes of head and body."""
    body = pathlib.Path(directory) / "answer"
    shown = client.run(["curl", "-sS", "--noproxy", "*", "-m", ANSWER_TIMEOUT, *_headers(case), "-o", body, "-w",
                        "%{http_code} %{size_header} %{size_download} %header{x-endpoint}", url(target, case)], cgroup=cgroup, check=False)
    if shown.returncode != 0:
        raise LoadError(f"curl {url(target, case)} ended with {shown.returncode}: {shown.stderr.strip()}")
    status, head, size, *endpoint = shown.stdout.split(" ")
    return {"status": int(status), "endpoint": " ".join(endpoint).strip(), "body": body.read_bytes(), "bytes": int(head) + int(size)}
