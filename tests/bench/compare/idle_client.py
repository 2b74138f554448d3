#!/usr/bin/env python3
"""Opens connections, sends one request over each, and keeps them; asks over each again when a line comes on standard input.

idle_client.py ADDRESS PORT COUNT PATH ENDPOINT. Prints "open" once all stand, then, after the line, "alive". Anything else on
standard output says what went wrong. A process of its own, because interception is by cgroup.
"""
import socket
import sys


def ask(connection, path, endpoint):
    """Raises ValueError unless a whole 200 of that endpoint comes."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ValueError(f"closed after {data[:200]!r}")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if lines[0].split(" ")[1] != "200" or fields.get("x-endpoint") != endpoint:
        raise ValueError(f"answered {head[:300]!r}")
    left = int(fields["content-length"]) - len(body)
    while left > 0:
        more = connection.recv(65536)
        if not more:
            raise ValueError("closed in the body")
        left -= len(more)


def main():
    address, port, count, path, endpoint = sys.argv[1:]
    held = []
    try:
        for _ in range(int(count)):
            held.append(socket.create_connection((address, int(port)), timeout=15))
            ask(held[-1], path, endpoint)
        print("open", flush=True)
        sys.stdin.readline()
        for connection in held:
            ask(connection, path, endpoint)
        print("alive", flush=True)
    except (OSError, ValueError, IndexError, KeyError) as error:
        print(f"connection {len(held)} of {count}: {error}", flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
