#!/usr/bin/env python3
"""Connects on a test's behalf and hands over the connected sockets.

Interception is by cgroup, and a socket stays with the cgroup it was made in: run as a process of the sandbox, this makes
the connections of a client whose every byte the test itself sends. Takes {"host", "port", "count", "source"} a message;
`source` binds connection number n to [address, port + n]. Answers in batches: sockets, and {"left", "error"}.
"""
import json
import socket

BATCH = 100  # the kernel passes at most 253 descriptors in a message


def dial(address, count, source):
    for number in range(count):
        connection = socket.socket(address[0], socket.SOCK_STREAM)
        connection.settimeout(20)
        try:
            if source:
                connection.bind((source[0], source[1] + number if source[1] else 0))
            connection.connect(address[4])
        except ConnectionResetError:
            pass  # it was established, and ended at once: the test finds out
        except OSError:
            connection.close()
            raise
        yield connection


def serve(control):
    while request := control.recv(65536):
        asked = json.loads(request)
        left, batch, error = asked["count"], [], None
        try:
            address = socket.getaddrinfo(asked["host"], asked["port"], type=socket.SOCK_STREAM)[0]
            for connection in dial(address, left, asked["source"]):
                batch.append(connection)
                left -= 1
                if len(batch) == BATCH and left:
                    hand_over(control, batch, left, None)
        except OSError as failure:
            error, left = str(failure), 0
        hand_over(control, batch, left, error)


def hand_over(control, batch, left, error):
    message = json.dumps({"left": left, "error": error}).encode()
    socket.send_fds(control, [message], [connection.fileno() for connection in batch])
    for connection in batch:
        connection.close()
    batch.clear()


class Dialer:
    """The test's end of such a process."""

    def __init__(self, sandbox, start=None):
        """`start(arguments, stdin=...)` starts it, as a task for example; otherwise it belongs to none."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = (start or sandbox.popen)(["python3", "-S", __file__], stdin=theirs)
        self._control.settimeout(120)

    def dial(self, host, port=80, count=1, source=None):
        """That many connected sockets, with a timeout of 20 s on each of their waits."""
        self._control.send(json.dumps({"host": host, "port": port, "count": count, "source": source}).encode())
        connections, left, error = [], 1, None
        while left:
            message, descriptors, _, _ = socket.recv_fds(self._control, 65536, BATCH)
            connections += [socket.socket(fileno=descriptor) for descriptor in descriptors]
            if not message:
                raise AssertionError("the dialer ended")
            left, error = (told := json.loads(message))["left"], told["error"]
        for connection in connections:
            connection.settimeout(20)
        if error:
            for connection in connections:
                connection.close()
            raise ConnectionError(f"connection {len(connections) + 1} of {count} to {host}:{port}: {error}")
        return connections

    def close(self):
        self._control.close()
        self._process.wait(10)


if __name__ == "__main__":
    serve(socket.socket(fileno=0))
