"""The one endpoint behind every peer: nginx with two files, an answer's header that names it, and its own counts."""
import http.client
import pathlib
import re
import resource
import secrets
import tempfile

from support.sandbox import wait_until

from cases import SIZES
from topology import SERVER_ADDRESS

PORT, STATUS_PORT = 8080, 8081
# Of DNAT alone. The kernel offsets TCP timestamps by the address that was dialled, which is another one there: on one port the endpoint
# would take its SYNs for old ones of direct connections that it still remembers (TIME_WAIT), and drop them.
DNAT_PORT = 8082

CONFIG = """
worker_processes {workers};
worker_rlimit_nofile {descriptors};
error_log stderr error;
pid {directory}/nginx.pid;
daemon off;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_header_timeout 1h;
  open_file_cache max=16;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  {http}
  server {{
    listen {address}:{port} backlog=4096;
    listen {address}:{dnat_port} backlog=4096;
    add_header X-Endpoint {name} always;
    root {directory}/files;
    {location}
  }}
  server {{
    listen 127.0.0.1:{status_port};
    location / {{ stub_status; }}
  }}
}}
"""

# Ways of being wrong, to see that the checks notice: one answer of a hundred, or all of them from somewhere else.
FAULTS = {
    "status": ("split_clients $request_id $bad { 1% 1; * 0; }", "if ($bad) { return 500; }"),
    "size": ("split_clients $request_id $bad { 1% 1; * 0; }", "if ($bad) { return 200 short; }"),
}


def descriptors():
    """How many files and sockets each process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Endpoint:
    def __init__(self, topology, workers, fault=None):
        self.server = topology.server
        self._asked = 0
        self.name = f"endpoint-{secrets.token_hex(4)}"
        self.directory = pathlib.Path(self.server.directory)
        files = self.directory / "files"
        files.mkdir()
        self.bodies = {}
        for name, size in SIZES.items():
            self.bodies[f"/{name}"] = (secrets.token_hex(size // 2)).encode()
            (files / name).write_bytes(self.bodies[f"/{name}"])
        config = self.directory / "nginx.conf"
        http, location = FAULTS.get(fault, ("", ""))
        sends = f"another-{self.name}" if fault == "endpoint" else self.name
        config.write_text(CONFIG.format(
            workers=workers, directory=self.directory, address=SERVER_ADDRESS, port=PORT, dnat_port=DNAT_PORT, status_port=STATUS_PORT,
            name=sends, connections=descriptors() - 100, descriptors=descriptors(), http=http, location=location))
        self.log = tempfile.TemporaryFile("w+")
        self.process = self.server.popen(["nginx", "-c", config, "-p", self.directory, "-e", "stderr"], stderr=self.log)
        wait_until(self._is_up, 10, self._why_not)

    def _why_not(self):
        self.log.seek(0)
        return f"nginx answers: {self.log.read()}"

    def _is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"nginx ended with {self.process.returncode}: {self._why_not()}")
        try:
            return self.status()
        except OSError:
            return None

    def status(self):
        """Connections accepted and requests read since its start, without those of the counting itself, and requests at work."""
        with self.server.inside():
            connection = http.client.HTTPConnection("127.0.0.1", STATUS_PORT, timeout=5)
            try:
                connection.request("GET", "/")
                text = connection.getresponse().read().decode()
            finally:
                connection.close()
        accepted, _, requests = map(int, re.search(r"^ (\d+) (\d+) (\d+)", text, re.MULTILINE).groups())
        reading, writing = map(int, re.search(r"Reading: (\d+) Writing: (\d+)", text).groups())
        self._asked += 1
        return {"connections": accepted - self._asked, "requests": requests - self._asked, "busy": reading + writing - 1}

    def settled(self):
        """The counts once nothing is at work any more: load that was cut off may still have requests here."""
        return wait_until(lambda: (status := self.status())["busy"] == 0 and status, 10, "nginx has answered everything")
