"""The proxy's own instructions by function, counted by callgrind: the same from run to run, whatever else the machine does."""
import contextlib
import pathlib
import re
import shutil
import subprocess

import causeway_host
from support.sandbox import wait_until

BIN = causeway_host.BIN
# The proxy gives up its root directory and its user, so that it could not write callgrind's output; the former is left out here,
# the latter is answered by a file that anybody may write.
SHIM = """#!/bin/bash
arguments=()
while [ $# -gt 0 ]; do
  if [ "$1" = --chroot ]; then shift 2; continue; fi
  arguments+=("$1")
  shift
done
exec valgrind --tool=callgrind --callgrind-out-file={directory}/callgrind.out --log-file={directory}/valgrind.log {proxy} "${{arguments[@]}}"
"""
LINE = re.compile(r"^\s*([\d,]+) \(\s*[\d.]+%\)\s+\S*?:(.+?)(?: \[[^]]*\])?$", re.MULTILINE)


def _prepare(host):
    """A directory of binaries whose proxy runs under valgrind."""
    directory = pathlib.Path(host.directory) / "callgrind"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name in ("causewayd", "causeway"):
        shutil.copy(BIN / name, directory / name)
    shim = directory / "causeway-proxy"
    shim.write_text(SHIM.format(directory=directory, proxy=(BIN / "causeway-proxy").resolve()))
    shim.chmod(0o755)
    return directory


@contextlib.contextmanager
def _under_callgrind(peer, found):
    """The agent with such a proxy; `found` becomes {function: instructions} of the proxy's whole life."""
    directory = _prepare(peer.host)
    causeway_host.BIN = directory
    try:
        peer.start()
        out = directory / "callgrind.out"
        wait_until(out.exists, 10, lambda: "callgrind makes its file: " + (directory / "valgrind.log").read_text())
        out.chmod(0o666)
        yield
        peer.stop()
        wait_until(lambda: "Collected" in (directory / "valgrind.log").read_text(), 60,
                   lambda: "callgrind writes its file: " + (directory / "valgrind.log").read_text())
    finally:
        causeway_host.BIN = BIN
    shown = subprocess.run(["callgrind_annotate", "--threshold=100", "--auto=no", out], capture_output=True, text=True, check=True).stdout
    for count, function in LINE.findall(shown):  # a function once for each file that it was inlined from
        found[function] = found.get(function, 0) + int(count.replace(",", ""))


def by_function(peer, loaded):
    """{function: instructions a request}. `loaded` runs the load and gives its requests; what the proxy does without is
    taken from a second life of it, and left out."""
    busy, idle = {}, {}
    with _under_callgrind(peer, busy):
        requests = loaded()
    with _under_callgrind(peer, idle):
        pass
    return {key: (count - idle.get(key, 0)) / requests for key, count in busy.items()}
