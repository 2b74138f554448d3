"""One measured run, and the checks without which its figures are thrown away."""
import time

import load
import usage


class CheckFailed(Exception):
    """A run whose answers were not what they must be, or did not come the way they must."""


def check(holds, case, peer, what):
    if not holds:
        raise CheckFailed(f"{case.name}, {peer.name}: {what}")


def fetch_and_check(peer, case, endpoint, target):
    """A request of our own: the right endpoint's name and every byte of the body. Returns the answer's bytes."""
    answer = load.fetch(peer.client, peer.cgroup, target, case, peer.directory)
    check(answer["status"] == 200, case, peer, f"a request was answered with {answer['status']} instead of 200")
    check(answer["endpoint"] == endpoint.name, case, peer,
          f'an answer came from "{answer["endpoint"]}" instead of "{endpoint.name}" (its X-Endpoint header)')
    check(answer["body"] == endpoint.bodies[case.path], case, peer,
          f"an answer's body ({len(answer['body'])} bytes) is not the endpoint's file ({case.size} bytes)")
    return answer["bytes"]


def check_load(peer, case, counted, answer_bytes):
    """By wrk's own counts: no failure, and as many bytes as that many whole answers have."""
    errors = {name: count for name, count in counted["errors"].items() if count}
    check(not errors, case, peer, f"wrk met errors in {counted['requests']} answers: {errors}")
    check(counted["requests"] > 0, case, peer, f"wrk got no answer in {counted['seconds']:.1f} s; a longer run (--seconds) would tell more")
    whole = counted["requests"] * answer_bytes
    # No peer's answers differ in length. Those under way at the end are read in part.
    check(whole <= counted["bytes"] <= whole + case.connections * answer_bytes, case, peer,
          f"wrk read {counted['bytes']} bytes in {counted['requests']} answers, which have {answer_bytes} bytes each")


def check_endpoint(peer, case, counted, before, after):
    """By nginx's own count, answers of nobody else are among them; what was under way at the end may be in it."""
    served = after["requests"] - before["requests"]
    check(counted["requests"] <= served <= counted["requests"] + case.connections, case, peer,
          f"wrk counted {counted['requests']} answers over {case.connections} connections, the endpoint {served} requests")


def check_way(peer, case, counted, before):
    """The peer itself counted this load. Its counts may come a moment later."""
    deadline = time.monotonic() + 10
    while True:
        after = peer.counts(case.protocol)
        rose = {name: after[name] - before[name] for name in after}
        # wrk's first connection only tries the address.
        connections = case.connections if case.kept else counted["requests"]
        wanted = {"connections": (connections, connections + case.connections + 1)}
        if case.protocol == "http":
            wanted["requests"] = (counted["requests"], counted["requests"] + case.connections)
        else:
            wanted["bytes"] = (counted["bytes"], counted["bytes"] + case.connections * (case.size + 1024))
        wrong = {name: rose[name] for name, (least, most) in wanted.items() if not least <= rose[name] <= most}
        if not wrong:
            return rose
        check(time.monotonic() < deadline, case, peer,
              f"the load did not go through it as it should: wrk counted {counted['requests']} answers of {counted['bytes']} bytes, "
              f"{peer.name} counted {rose}")
        time.sleep(0.02)


def warm_up(topology, peer, case, seconds, *, threads):
    """A run that is thrown away, unchecked. The peer's memory is looked at in it: that takes milliseconds, which would lengthen p99 in others."""
    memory = []
    with topology.redirected(peer.redirects(case.protocol)):
        load.run(peer.client, peer.cgroup, peer.target(case.protocol), case, seconds, threads=threads,
                 meanwhile=lambda: memory.append(usage.pss_kib(peer.pids())))
    peer.loaded_pss_kib = max(memory)


def run(topology, endpoint, peer, case, seconds, cpu, *, threads, bypass=False):
    """Figures of one run: {column: value}. `bypass` sends the load past the peer, to see that the checks notice."""
    target = peer.target(case.protocol)
    with topology.redirected(peer.redirects(case.protocol)):
        answer_bytes = fetch_and_check(peer, case, endpoint, target)
        served_before = endpoint.settled()
        counts_before = peer.counts(case.protocol)
        tracked_before = topology.tracked_connections()
        cpu_before = cpu.seconds()
        counted = load.run(peer.client, peer.cgroup, bypass or target, case, seconds, threads=threads)
        used = cpu.seconds() - cpu_before
        check_load(peer, case, counted, answer_bytes)
        served_after = endpoint.settled()
        check_endpoint(peer, case, counted, served_before, served_after)
        rose = {}
        if counts_before:
            rose = check_way(peer, case, counted, counts_before)
        if not peer.redirects(case.protocol):
            check(topology.tracked_connections() <= tracked_before, case, peer,
                  "its connections were tracked by conntrack, as only those behind iptables should be")
        fetch_and_check(peer, case, endpoint, target)
    # An answer under way at the end counts in part. With 256 of 1 MiB under way the slower peers would else look much slower.
    answers = counted["bytes"] / answer_bytes
    return {
        "seconds": counted["seconds"], "requests": counted["requests"], "bytes": counted["bytes"],
        "requests_per_second": answers / counted["seconds"],
        "p50_us": counted["p50_us"], "p99_us": counted["p99_us"],
        "cpu_us": used * 1e6 / answers, "pss_kib": max(peer.loaded_pss_kib, usage.pss_kib(peer.pids())),
        "endpoint_requests": served_after["requests"] - served_before["requests"],
        "endpoint_connections": served_after["connections"] - served_before["connections"],
        "proxy_requests": rose.get("requests", ""), "proxy_connections": rose.get("connections", ""),
    }
