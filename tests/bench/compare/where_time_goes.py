"""Shows where microseconds go: the proxy's system calls and functions, or the BPF programs of the kernel path. Run it by tools/profile."""
import argparse
import collections
import contextlib
import sys

import topology  # first: it makes the end-to-end tests' modules found
import cases
import instructions
import load
import measure
import options
import peers
import probes
import programs
from endpoint import Endpoint
from peers import WORKERS


PROXY_CASES, KERNEL_CASES = "(http|tcp)-32-keep-200B", "tcp-32-(keep|close)-200B"


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/profile", description="Shows where the proxy's time goes, for HTTP/1.1 and for TCP; with "
                                     "--programs, what the BPF programs of the kernel path take.")
    parser.add_argument("--cases", type=options.comma_separated, metavar="NAME,...", default=[],
                        help=f"as of tools/compare; default: {PROXY_CASES}, and with --programs {KERNEL_CASES}")
    parser.add_argument("--seconds", type=options.number(float, options.LEAST_SECONDS, 600), default=3.0, metavar="S",
                        help="of load a measurement; default 3")
    parser.add_argument("--functions", type=options.number(int, 1, 1000), default=25, metavar="N", help="how many are shown; default 25")
    parser.add_argument("--instructions", action="store_true", help="instead: instructions by function, counted by callgrind; slow, but "
                        "the same whatever else the machine does")
    parser.add_argument("--programs", action="store_true", help="instead: runs and time of the BPF programs, where the kernel takes the "
                        "connections (TCP alone)")
    chosen = parser.parse_args(arguments)
    if chosen.programs and chosen.instructions:
        parser.error("--programs and --instructions are of two paths: give one of them")
    try:
        chosen.selected = cases.select(chosen.cases or [KERNEL_CASES if chosen.programs else PROXY_CASES])
    except ValueError as error:
        parser.error(f"--cases: {error}")
    if chosen.programs and any(case.protocol != "tcp" for case in chosen.selected):
        parser.error("--cases: the kernel path knows no HTTP: with --programs, choose among those that begin with tcp-")
    return chosen


def show_calls(counts, requests):
    print(f"  system calls a request: {sum(counts.values()) / requests:.2f}")
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        if count / requests >= 0.005:
            print(f"    {count / requests:>8.2f}  {name}")


def show_time(samples, us_a_request, shown):
    total = sum(samples.values())
    if not total:
        raise measure.CheckFailed("perf took no sample of the proxy")
    by_file = collections.Counter()
    for (_, where), count in samples.items():
        by_file[where] += count
    print(f"  time of the proxy a request: {us_a_request:.2f} us, of which")
    for where, count in by_file.most_common():
        if count / total >= 0.005:
            print(f"    {us_a_request * count / total:>8.2f} us {100 * count / total:>5.1f} %  {where}")
    print("  and by function")
    for (name, where), count in samples.most_common(shown):
        print(f"    {us_a_request * count / total:>8.2f} us {100 * count / total:>5.1f} %  {name[:100]}  ({where})")


def show_instructions(counts, shown):
    print(f"  instructions of the proxy a request, without the kernel's: {sum(counts.values()):.0f}, by function")
    for name, count in sorted(counts.items(), key=lambda item: -item[1])[:shown]:
        print(f"    {count:>8.0f}  {name[:100]}")


def show_programs(rose):
    print("  BPF programs, a request (by the clock: interrupts and steal during a run, and part of the clock reads around it, are in it)")
    for name, (runs, nanoseconds) in sorted(rose.items(), key=lambda item: -item[1][1]):
        if runs >= 0.005:
            print(f"    {runs:>8.2f} runs {nanoseconds / 1000:>8.3f} us  {name}")
    print(f"    {'':>8}      {sum(nanoseconds for _, nanoseconds in rose.values()) / 1000:>8.3f} us  together")


def profile_programs(peer, loaded):
    peer.start()
    loaded()
    show_programs(programs.by_name(peer.host, loaded))
    peer.stop()


def loader(endpoint, peer, case, seconds):
    """A function that runs the load, checks it, and gives its requests."""
    def loaded():
        target = peer.target(case.protocol)
        answer_bytes = measure.fetch_and_check(peer, case, endpoint, target)
        counted = load.run(peer.client, peer.cgroup, target, case, seconds, threads=WORKERS)
        measure.check_load(peer, case, counted, answer_bytes)
        return counted["requests"]
    return loaded


def profile(where, peer, loaded, shown):
    """Three loads: undisturbed for the time, then one for the calls and one for the functions."""
    peer.start()
    probe = probes.Probes(where, where.host.proxy_pid())
    loaded()
    before = probes.cpu_seconds(probe.pid)
    requests = loaded()
    us_a_request = (probes.cpu_seconds(probe.pid) - before) * 1e6 / requests
    with probe.system_calls() as calls:
        requests = loaded()
    show_calls(calls, requests)
    if not probe.has_tracepoints():
        print("    (by strace, which slows the proxy down: it may find more work at once than it would)")
    with probe.samples() as samples:
        loaded()
    show_time(samples, us_a_request, shown)
    peer.stop()


def main():
    options.raise_descriptor_limit()
    chosen = parse(sys.argv[1:])
    signals = topology.Signals()
    with contextlib.ExitStack() as undo:
        try:
            with signals.held():
                where = undo.enter_context(contextlib.closing(topology.Topology(WORKERS)))
            endpoint = Endpoint(where, WORKERS)
            peer = peers.make("causeway-kernel" if chosen.programs else "causeway", where)
            print(f"{options.machine()}; causeway {peers.versions(['causeway'])['causeway']}; {WORKERS} workers")
            for case in chosen.selected:
                print(f"\n{case.name}: {case.describe()}", flush=True)
                loaded = loader(endpoint, peer, case, chosen.seconds)
                if chosen.programs:
                    profile_programs(peer, loaded)
                elif chosen.instructions:
                    show_instructions(instructions.by_function(peer, loaded), chosen.functions)
                else:
                    profile(where, peer, loaded, chosen.functions)
        except (measure.CheckFailed, load.LoadError, probes.ProbeFailed, AssertionError) as error:
            sys.exit(f"tools/profile: {error}")
        except topology.Interrupted as interrupted:
            print("tools/profile: interrupted; what it made is taken down", file=sys.stderr)
            sys.exit(128 + interrupted.args[0])
        finally:
            signals.ignore()


if __name__ == "__main__":
    main()
