#!/usr/bin/env python3
"""A small HTTP service that knows nothing of Causeway: it listens on 0.0.0.0:3000, like every copy of it.

GET /api/users/ID answers a user, with the task that answered; GET /health answers "ok".
PORT moves it to another port.
"""
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "user-service/1.0"
    # Without it the kernel holds back the body until the head is acknowledged (Nagle and delayed ACK: 40 ms).
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together

    def do_GET(self):
        prefix = "/api/users/"
        if self.path == "/health":
            self.answer(200, "text/plain", b"ok\n")
        elif self.path.startswith(prefix) and self.path[len(prefix):].isalnum():
            address, port = self.connection.getsockname()[:2]
            user = {"id": self.path[len(prefix):], "task": f"{address}:{port}", "pid": os.getpid()}
            self.answer(200, "application/json", json.dumps(user).encode() + b"\n")
        else:
            self.answer(404, "text/plain", b"no such path\n")

    def answer(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def main():
    server = Server(("0.0.0.0", int(os.environ.get("PORT", "3000"))), Handler)

    def stop(_signal, _frame):
        # shutdown() waits for serve_forever(), which this handler interrupts: hence another thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
