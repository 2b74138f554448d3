"""Compares what a connection costs directly, through Causeway and through stock proxies behind iptables. Run it by tools/compare."""
import argparse
import contextlib
import functools
import os
import pathlib
import resource
import subprocess
import sys

import topology  # first: it makes the end-to-end tests' modules found
import cases
import idle
import load
import measure
import peers
import plot
import report
import usage
from endpoint import FAULTS, Endpoint, descriptors
from peers import WORKERS

WARM_UP = 0.5  # seconds, and a third of a run's time where that is more
LEAST_SECONDS = 0.2  # every connection is to be made within them
SPLICE = "haproxy-splice"

FAIRNESS = """\
One go on one machine: clients and proxies in one network namespace, the endpoint (nginx) in another, joined by veth.
Every case: a fresh start of each proxy, a run thrown away, then {rounds} rounds of {seconds} s a peer; each round in another order.
Alike: the endpoint and its files, {workers} workers or threads each (nginx and wrk too), connections to the endpoint kept in pools (HTTP),
access logs off, 2 retries on a failed connect, an ended connection and 503, timeouts of 5 s (connect), 15 s (request), 5 min (idle, HTTP), 1 h (idle, TCP).
iptables has its one rule only while the peer behind it is measured. Each run is checked, or ends this command: wrk met no error and
read whole answers only; nginx and the proxy counted the requests that wrk counted; requests before and after had the endpoint's name and file.
"""


def comma_separated(text):
    return [part for part in text.split(",") if part]


def number(kind, least, most):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f'"{text}" is no {"whole " if kind is int else ""}number from {least} to {most}')
        return value
    return parse


def writable(text):
    directory = pathlib.Path(text).resolve().parent
    if not directory.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {directory}")
    return text


def options(arguments):
    parser = argparse.ArgumentParser(prog="tools/compare", description=__doc__.split(". Run")[0] + ".")
    parser.add_argument("--cases", type=comma_separated, metavar="NAME,...", help="names or regular expressions of cases; default: all")
    parser.add_argument("--list", action="store_true", help="print the cases' names")
    parser.add_argument("--peers", type=comma_separated, metavar="NAME,...",
                        help=f"of {', '.join(peers.NAMES)}; direct always runs. Default: all, {SPLICE} with 1 MiB alone")
    parser.add_argument("--rounds", type=number(int, 1, 1000), default=5, metavar="N", help="default 5")
    parser.add_argument("--seconds", type=number(float, LEAST_SECONDS, 600), default=3.0, metavar="S", help="of load a run; default 3")
    parser.add_argument("--cpu", choices=list(usage.METHODS), default="machine",
                        help="machine: time of the whole machine; own: of the processes that take part, where others run too")
    parser.add_argument("--csv", type=writable, metavar="FILE", help="a row a run")
    parser.add_argument("--png", type=writable, metavar="FILE", help="a plot")
    parser.add_argument("--idle", type=number(int, 1, 100_000), metavar="N", help="instead: memory of N idle connections through each proxy")
    parser.add_argument("--fault", choices=[*FAULTS, "endpoint", "bypass"],
                        help="something is wrong on purpose, which the checks must notice: 1%% of the answers are 500 or short, all "
                             "come from another endpoint, or the load bypasses the peer")
    chosen = parser.parse_args(arguments)
    try:
        chosen.selected = cases.select(chosen.cases)
    except ValueError as error:
        parser.error(f"--cases: {error}")
    chosen.asked_peers = chosen.peers
    chosen.peers = list(dict.fromkeys(chosen.peers or peers.NAMES))
    unknown = [name for name in chosen.peers if name not in peers.NAMES]
    if unknown:
        parser.error(f"--peers: there is no \"{unknown[0]}\"; there are {', '.join(peers.NAMES)}")
    if chosen.idle and (chosen.cases or chosen.png or chosen.csv):
        parser.error("--idle measures memory alone: it goes without --cases, --csv and --png")
    if chosen.idle and chosen.idle > idle.most():
        parser.error(f"--idle {chosen.idle}: with {descriptors()} descriptors a process, each proxy can hold {idle.most()} relayed connections; "
                     "ask for fewer, or raise the limit (ulimit -Hn)")
    return chosen


def peers_of(case, chosen):
    """Splicing makes a difference to large answers alone: by default it is measured with those."""
    return [name for name in chosen.peers
            if name != SPLICE or chosen.asked_peers or case.size_name == "1MiB"]


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
    """All rounds of one case with peers that run; `run` measures one of them for some seconds. The rows."""
    for peer in started:
        run(peer, case, max(WARM_UP, chosen.seconds / 3))
    rows = []
    for number in range(chosen.rounds):
        of_round = {}
        for position, peer in enumerate(rotated(started, number)):
            of_round[peer.name] = {
                "case": case.name, "protocol": case.protocol, "connections": case.connections, "kept": int(case.kept),
                "answer_bytes": case.size, "peer": peer.name, "round": number + 1, "position": position + 1, "cpu_method": chosen.cpu,
                **run(peer, case, chosen.seconds)}
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

    def run(peer, case, seconds):
        return measure.run(where, endpoint, peer, case, seconds, cpu, threads=WORKERS, bypass=bypass and bypass(case))

    rows = []
    with contextlib.closing(report.CsvFile(chosen.csv)) as out:
        for case in chosen.selected:
            started = [available[name] for name in ("direct", *peers_of(case, chosen))]
            with running(signals, started):
                found = measure_case(case, started, run, chosen, out)
            print(report.table(case, found) + "\n", flush=True)
            rows += found
    if chosen.png:
        plot.draw(chosen.png, rows, f"{machine()}; {chosen.rounds} rounds of {chosen.seconds:g} s; CPU time: {cpu.name}")


def machine():
    return f"{os.cpu_count()} processors, Linux {os.uname().release}"


def fetch_envoy():
    directory = topology.TOP / "build/envoy"
    subprocess.run([topology.TOP / "tools/envoy", directory], check=True, stdout=sys.stderr)
    peers.Envoy.executable = str(directory / "envoy")


def raise_descriptor_limit():
    """As far as it goes, for everybody alike."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def prepare(chosen):
    if "envoy" in chosen.peers:
        fetch_envoy()
    print(machine())
    for name, version in peers.versions(chosen.peers).items():
        print(f"{name}: {version}")
    print(flush=True)


def main():
    raise_descriptor_limit()
    chosen = options(sys.argv[1:])
    if chosen.list:
        print("\n".join(f"{case.name:<22}{case.describe()}" for case in chosen.selected))
        return
    signals = topology.Signals()
    with contextlib.ExitStack() as undo:
        try:
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
