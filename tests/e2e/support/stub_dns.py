"""A resolver for tests, on UDP and TCP: knows a few names under "stub.test" and counts what it is asked."""
import socket
import struct
import threading


def _question(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]])
        at += query[at] + 1
    kind, = struct.unpack_from("!H", query, at + 1)
    return b".".join(labels).decode().lower(), kind, query[12:at + 5]


class StubDns:
    """Answers small.stub.test and big.stub.test (40 addresses: too large for 512 bytes), never silent.stub.test, and
    NXDOMAIN for the rest."""

    def __init__(self, sandbox, address, port=53):
        self.asked = []
        with sandbox.inside():
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._udp.bind((address, port))
        self._tcp.bind((address, port))
        self._tcp.listen()
        self._threads = [threading.Thread(target=self._serve_udp), threading.Thread(target=self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def _answer(self, query, over_udp):
        name, kind, question = _question(query)
        self.asked.append((name, kind, "udp" if over_udp else "tcp"))
        if name == "silent.stub.test":
            return None
        count = {"small.stub.test": 1, "big.stub.test": 40}.get(name, 0) if kind == 1 else 0
        known = name in ("small.stub.test", "big.stub.test")
        if over_udp and count > 20:
            return query[:2] + struct.pack("!HHHHH", 0x8380, 1, 0, 0, 0) + question  # truncated
        records = b"".join(struct.pack("!HHHIH4B", 0xC00C, 1, 1, 60, 4, 192, 0, 2, 100 + n) for n in range(count))
        return query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, count, 0, 0) + question + records

    def _serve_udp(self):
        while True:
            query, peer = self._udp.recvfrom(4096)
            if not query:
                return
            answer = self._answer(query, True)
            if answer:
                self._udp.sendto(answer, peer)

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    size = connection.recv(2, socket.MSG_WAITALL)
                    query = connection.recv(struct.unpack("!H", size)[0], socket.MSG_WAITALL)
                    answer = self._answer(query, False)
                    if answer:
                        connection.sendall(struct.pack("!H", len(answer)) + answer)
                except (OSError, struct.error, IndexError):
                    pass  # a client that leaves early

    def close(self):
        self._tcp.shutdown(socket.SHUT_RDWR)
        self._udp.sendto(b"", self._udp.getsockname())
        for thread in self._threads:
            thread.join(10)
        self._tcp.close()
        self._udp.close()
