"""Compares what a connection costs directly, through Causeway and through stock proxies behind iptables. Run it by tools/compare."""
import contextlib
import functools
import subprocess
import sys

import topology  # first: it makes the end-to-end tests' modules found
import idle
import load
import measure
import options
import peers
import plot
import report
import scale
import usage
from endpoint import Endpoint
from peers import WORKERS

WARM_UP = 0.5  # seconds, and a third of a run's time where that is more

FAIRNESS = """\
One go on one machine: clients and proxies in one network namespace, the endpoint (nginx) in another, joined by veth.
Every case: a fresh start of each proxy, a run thrown away, then {rounds} rounds of {seconds} s a peer; each round in another order,
and each peer beside the direct connection of its own round.
Alike: the endpoint and its files, {workers} workers or threads each (nginx and wrk too), connections to the endpoint kept in pools (HTTP),
access logs off, 2 retries on a failed connect, an ended connection and 503, timeouts of 5 s (connect), 15 s (request), 5 min (idle, HTTP)
and 1 h (idle, TCP). docs/comparison.md has the rest.
iptables has its one rule only while the peer behind it is measured. Each run is checked, or ends this command: wrk met no error and
read whole answers only; nginx and the proxy counted the requests that wrk counted; requests before and after had the endpoint's name and file.
"""


def peers_of(case, chosen):
    """Splicing makes a difference to large answers alone: by default it is measured with those."""
    return [name for name in chosen.peers
            if (case.protocol == "tcp" or name not in peers.WITHOUT_PROXY) and
            (name != options.SPLICE or chosen.asked_peers or case.size_name == "1MiB")]


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


@contextlib.contextmanager
def running(signals, started):
    """Starts these peers, and stops them again whatever happens."""
    begun = []
    try:
        for peer in started:
            begun.append(peer)
            peer.start()
        yield
    finally:
        with signals.held():
            for peer in begun:
                peer.stop()


def measure_case(case, started, run, chosen, out):
    """All rounds of one case with peers that run; `run` measures one of them. The rows."""
    rows = []
    for number in range(chosen.rounds):
        of_round = {}
        for position, peer in enumerate(rotated(started, number)):
            of_round[peer.name] = {
                "case": case.name, "protocol": case.protocol, "connections": case.connections, "kept": int(case.kept),
                "answer_bytes": case.size, "peer": peer.name, "round": number + 1, "position": position + 1, "cpu_method": chosen.cpu,
                **run(peer, case)}
        in_order = [of_round[peer.name] for peer in started]
        report.pair_with_direct(in_order)
        out.write(in_order)
        rows += in_order
    return rows


def compare(signals, where, endpoint, chosen):
    print(FAIRNESS.format(rounds=chosen.rounds, seconds=f"{chosen.seconds:g}", workers=WORKERS))
    cpu = usage.METHODS[chosen.cpu](where)
    print(f"CPU time: --cpu {cpu.name}: {' '.join(cpu.__doc__.split())}\n", flush=True)
    available = {name: peers.make(name, where) for name in ("direct", *chosen.peers)}
    bypass = (lambda case: available["direct"].target(case.protocol)) if chosen.fault == "bypass" else None

    def run(peer, case):
        return measure.run(where, endpoint, peer, case, chosen.seconds, cpu, threads=WORKERS, bypass=bypass and bypass(case))

    rows = []
    with contextlib.closing(report.CsvFile(chosen.csv)) as out:
        for case in chosen.selected:
            started = [available[name] for name in ("direct", *peers_of(case, chosen))]
            with running(signals, started):
                for peer in started:
                    measure.warm_up(where, peer, case, max(WARM_UP, chosen.seconds / 3), threads=WORKERS)
                found = measure_case(case, started, run, chosen, out)
            print(report.table(case, found) + "\n", flush=True)
            rows += found
    print(report.INTERVAL)
    if chosen.png:
        plot.draw(chosen.png, rows, f"{options.machine()}; {chosen.rounds} rounds of {chosen.seconds:g} s; CPU time: {cpu.name}")


def fetch_envoy():
    directory = topology.TOP / "build/envoy"
    subprocess.run([topology.TOP / "tools/envoy", directory], check=True, stdout=sys.stderr)
    peers.Envoy.executable = str(directory / "envoy")


def prepare(chosen):
    if "envoy" in chosen.peers:
        fetch_envoy()
    print(options.machine())
    for name, version in peers.versions(chosen.peers).items():
        print(f"{name}: {version}")
    print(flush=True)


def main():
    options.raise_descriptor_limit()
    chosen = options.parse(sys.argv[1:])
    if chosen.list:
        print("\n".join(f"{case.name:<22}{case.describe()}" for case in chosen.selected))
        return
    signals = topology.Signals()
    with contextlib.ExitStack() as undo:
        try:
            if chosen.scale:
                return scale.run(signals, chosen, options.machine())
            prepare(chosen)
            with signals.held():
                where = undo.enter_context(contextlib.closing(topology.Topology(WORKERS)))
            endpoint = Endpoint(where, WORKERS, chosen.fault)
            if chosen.idle:
                idle.measure_all(where, endpoint, chosen, functools.partial(running, signals))
            else:
                compare(signals, where, endpoint, chosen)
        except (measure.CheckFailed, load.LoadError) as error:
            sys.exit(f"tools/compare: {error}\nNothing of this run can be trusted.")
        except AssertionError as error:
            sys.exit(f"tools/compare: {error}")
        except topology.Interrupted as interrupted:
            print("tools/compare: interrupted; what it made is taken down", file=sys.stderr)
            sys.exit(128 + interrupted.args[0])
        finally:
            signals.ignore()


if __name__ == "__main__":
    main()
