#!/usr/bin/env python3
"""Sends bytes and tells what comes back, a connection for each line of its input. Run inside a sandbox as a process of its
own, because interception is by cgroup.

A line in: {"send": HEX, "end": whether the client ends its side then}. A line out: {"got": HEX, "how": closed, reset or
open}: how the other side's bytes ended; open is after 10 s.
"""
import json
import socket
import sys


def exchange(address, send, end):
    got, how = b"", "closed"
    with socket.create_connection(address, timeout=10) as connection:
        try:
            connection.sendall(send)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all was sent: what was answered is still there
        try:
            while more := connection.recv(65536):
                got += more
        except TimeoutError:
            how = "open"
        except OSError:
            how = "reset"
    return {"got": got.hex(), "how": how}


def main():
    address = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), socket.AF_INET, socket.SOCK_STREAM)[0][4]
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(exchange(address, bytes.fromhex(order["send"]), order["end"])), flush=True)


main()
