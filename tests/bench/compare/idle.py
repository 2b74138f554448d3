"""What an idle connection costs each proxy in memory."""
import pathlib
import subprocess
import time

from support.sandbox import wait_until

import cases
import haproxy_config
import load
import measure
import peers
import usage

CLIENT = pathlib.Path(__file__).with_name("idle_client.py")
STEADY = 2.0  # seconds without a change
PATIENCE = 20.0
WARM_UP = 0.3

EXPLANATION = """\
Through each proxy, freshly started and warmed by a short load, {count} connections are opened, one after the other; each carries one request
with an answer of 200 B and is then kept idle. Memory is PSS of the proxy's processes (causeway: agent and proxy), once it has been steady
for {steady:g} s; the kernel's socket buffers are not in it. Afterwards each connection answers one more request: none was closed meanwhile.
"""


def most():
    """Connections that every proxy can relay at once: Causeway's limit for a service is 8,192, and the warm-up's may still be closing."""
    return min(haproxy_config.maxconn(), 8000)


def steady_pss(pids):
    """PSS once it no longer changes by more than a thousandth, or after PATIENCE."""
    end = time.monotonic() + PATIENCE
    reference, since = usage.pss_kib(pids), time.monotonic()
    while time.monotonic() < min(end, since + STEADY):
        time.sleep(0.1)
        now = usage.pss_kib(pids)
        if abs(now - reference) > reference / 1000:
            reference, since = now, time.monotonic()
    return usage.pss_kib(pids)


def expect(client, word, case, peer):
    line = client.stdout.readline().strip()
    measure.check(line == word, case, peer, f"idle connections: {line or 'their client ended'}")


def hold(topology, endpoint, peer, case, count):
    """KiB before, and with that many connections."""
    target = peer.target(case.protocol)
    with topology.redirected(peer.redirects(case.protocol)):
        measure.fetch_and_check(peer, case, endpoint, target)
        load.run(peer.client, peer.cgroup, target, case, WARM_UP, threads=peers.WORKERS)
        endpoint.settled()
        before = steady_pss(peer.pids())
        counts = peer.counts(case.protocol)
        client = peer.client.popen(["python3", CLIENT, target[0], target[1], count, case.path, endpoint.name], cgroup=peer.cgroup,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            expect(client, "open", case, peer)
            after = steady_pss(peer.pids())
            client.stdin.write("again\n")
            client.stdin.flush()
            expect(client, "alive", case, peer)
            wait_until(lambda: peer.counts(case.protocol)["connections"] - counts["connections"] == count, 10,
                       f"{peer.name} counts {count} connections")
        finally:
            client.kill()
            client.wait()
    return before, after


def measure_all(topology, endpoint, chosen, running):
    """`running` makes a context in which these peers run."""
    print(EXPLANATION.format(count=chosen.idle, steady=STEADY))
    print(f"{'':<17}{'':<6}{'PSS before, MiB':>16}{'with them, MiB':>16}{'a connection, KiB':>19}")
    for name in (name for name in chosen.peers if name not in peers.WITHOUT_PROXY and (name != "haproxy-splice" or chosen.asked_peers)):
        peer = peers.make(name, topology)
        for protocol in cases.PROTOCOLS:
            case = cases.Case(protocol, 32, True, "200B")
            with running([peer]):
                before, after = hold(topology, endpoint, peer, case, chosen.idle)
            print(f"{name:<17}{protocol:<6}{before / 1024:>16.1f}{after / 1024:>16.1f}{(after - before) / chosen.idle:>19.2f}", flush=True)
