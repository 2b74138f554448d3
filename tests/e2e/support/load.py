#!/usr/bin/env python3
"""Sends GETs over several connections at once and prints what became of them as JSON.

Run inside a sandbox as a process of its own, because interception is by cgroup. Each connection resolves the name
anew. `--per-connection K` closes after K requests; 0 keeps it as long as the server does. Ends after --requests, or on
SIGTERM where that is 0. Every answer that is not a complete 200 is a failure, and nothing is tried twice.
"""
import argparse
import json
import re
import signal
import socket
import threading
import time
from urllib.parse import urlsplit

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
TASK = re.compile(rb'"task": "([^"]*)"')


class Counts:
    def __init__(self, limit):
        self.lock = threading.Lock()
        self.limit = limit
        self.taken = self.ok = self.connections = 0
        self.failures, self.tasks, self.times = [], {}, []
        self.stop = threading.Event()

    def take(self):
        with self.lock:
            if self.stop.is_set() or (self.limit and self.taken >= self.limit):
                return False
            self.taken += 1
            return True


def exchange(sock, request, buffered):
    sock.sendall(request)
    data = buffered
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError(f"closed before the answer's head was complete: {data[:80]!r}")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    if not length:
        raise ValueError(f"an answer without Content-Length: {head[:200]!r}")
    while len(rest) < int(length.group(1)):
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("closed in the answer's body")
        rest += more
    body, left = rest[:int(length.group(1))], rest[int(length.group(1)):]
    return int(head.split(b" ", 2)[1]), head, body, left


def worker(counts, host, port, request, per_connection, timeout):
    sock, sent, left = None, 0, b""
    tasks, times, ok = {}, [], 0
    while counts.take():
        start = time.monotonic()
        try:
            if sock is None:
                sock = socket.create_connection((host, port), timeout=timeout)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sent, left = 0, b""
                with counts.lock:
                    counts.connections += 1
            status, head, body, left = exchange(sock, request, left)
            sent += 1
            if status != 200:
                raise ValueError(f"status {status}: {body[:200]!r}")
            ok += 1
            times.append(time.monotonic() - start)
            task = TASK.search(body)
            if task:
                tasks[task.group(1).decode()] = tasks.get(task.group(1).decode(), 0) + 1
            if CLOSE.search(head) or (per_connection and sent >= per_connection):
                sock.close()
                sock = None
        except (OSError, ValueError) as error:
            with counts.lock:
                counts.failures.append(f"request {sent + 1} of its connection, after {time.monotonic() - start:.3f} s: "
                                       f"{type(error).__name__}: {error}")
            if sock is not None:
                sock.close()
                sock = None
    if sock is not None:
        sock.close()
    with counts.lock:
        counts.ok += ok
        counts.times += times
        for task, number in tasks.items():
            counts.tasks[task] = counts.tasks.get(task, 0) + number


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--requests", type=int, default=0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--per-connection", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=20)
    options = parser.parse_args()
    url = urlsplit(options.url)
    request = f"GET {url.path or '/'} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
    counts = Counts(options.requests)
    signal.signal(signal.SIGTERM, lambda *_: counts.stop.set())
    begin = time.monotonic()
    threads = [threading.Thread(target=worker, args=(counts, url.hostname, url.port or 80, request,
                                                     options.per_connection, options.timeout))
               for _ in range(options.connections)]
    for thread in threads:
        thread.start()
    print("started", flush=True)
    for thread in threads:
        thread.join()
    times = sorted(counts.times) or [0.0]
    print(json.dumps({
        "requests": counts.taken, "ok": counts.ok, "failed": len(counts.failures), "failures": counts.failures[:10],
        "connections": counts.connections, "tasks": counts.tasks, "seconds": time.monotonic() - begin,
        "p50": times[len(times) // 2], "p99": times[int(len(times) * 0.99)], "max": times[-1],
    }))


if __name__ == "__main__":
    main()
