"""h2load over HTTP/1.1: a client quick enough to keep the proxy busy, which tries nothing twice."""
import re
import subprocess


class QuickLoad:
    """Runs in the sandbox from its creation on; every answer that is not a whole 2xx is told by finish()."""

    def __init__(self, host, url, *, requests, connections):
        self._process = host.sandbox.popen(["h2load", "--h1", "-t", "1", "-n", requests, "-c", connections, url],
                                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def is_running(self):
        return self._process.poll() is None

    def finish(self, timeout=300):
        """Counts: total, succeeded, failed, errored, timeout, 2xx, 3xx, 4xx, 5xx; and seconds, longest_ms."""
        out, _ = self._process.communicate(timeout=timeout)
        counts = {}
        for name in ("requests", "status codes"):
            line = re.search(rf"^{name}: (.*)$", out, re.MULTILINE)
            assert line, f"h2load ended with {self._process.returncode}: {out}"
            counts |= {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", line[1])}
        counts["seconds"] = self._time(re.search(r"^finished in (\S+),", out, re.MULTILINE)[1])
        counts["longest_ms"] = self._time(re.search(r"^time for request: +\S+ +(\S+)", out, re.MULTILINE)[1]) * 1000
        return counts

    @staticmethod
    def _time(text):
        number, unit = re.fullmatch(r"([\d.]+)(\D+)", text).groups()
        return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "min": 60}[unit]
