"""What tools/compare and tools/profile are asked to do."""
import argparse
import os
import pathlib
import resource

import cases
import idle
import peers
import report
import scale
import usage
from endpoint import FAULTS, descriptors

LEAST_SECONDS = 0.2  # every connection is to be made within them
SPLICE = "haproxy-splice"
MOST_SERVICES, MOST_ENDPOINTS = 16_384, 131_072  # what the agent's maps hold by default


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


def table_sizes(text):
    sizes = []
    for part in comma_separated(text):
        services, _, endpoints = part.partition("x")
        size = number(int, 1, MOST_SERVICES)(services), number(int, 1, MOST_ENDPOINTS)(endpoints)
        if size[0] > size[1]:
            raise argparse.ArgumentTypeError(f'"{part}" has fewer endpoints than services')
        sizes.append(size)
    return sizes


def writable(text):
    directory = pathlib.Path(text).resolve().parent
    if not directory.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {directory}")
    return text


def parse(arguments):
    """The options of tools/compare, checked: `selected` are the cases, `asked_peers` is None where none were named."""
    parser = argparse.ArgumentParser(prog="tools/compare", description="Compares what a connection costs "
                                     "directly, through Causeway, and through stock proxies behind iptables.")
    parser.add_argument("--cases", type=comma_separated, metavar="NAME,...", help="names or regular expressions of cases; default: all")
    parser.add_argument("--list", action="store_true", help="print the cases' names")
    parser.add_argument("--peers", type=comma_separated, metavar="NAME,...",
                        help=f"of {', '.join(peers.NAMES)}; direct always runs. Default: all, {SPLICE} with 1 MiB "
                        f"alone; {', '.join(peers.WITHOUT_PROXY)} with TCP")
    parser.add_argument("--rounds", type=number(int, 1, 1000), default=report.ENOUGH_ROUNDS, metavar="N",
                        help=f"default {report.ENOUGH_ROUNDS}, the fewest for an interval of 95 %%")
    parser.add_argument("--seconds", type=number(float, LEAST_SECONDS, 600), default=3.0, metavar="S", help="of load a run; default 3")
    parser.add_argument("--cpu", choices=list(usage.METHODS), default="machine",
                        help="machine: time of the whole machine; own: of the processes that take part, where others run too")
    parser.add_argument("--csv", type=writable, metavar="FILE", help="a row a run")
    parser.add_argument("--png", type=writable, metavar="FILE", help="a plot")
    parser.add_argument("--idle", type=number(int, 1, 100_000), metavar="N", help="instead: memory of N idle connections through each proxy")
    parser.add_argument("--scale", action="store_true", help="instead: what opening and ending a connection costs at growing tables of services")
    parser.add_argument("--sizes", type=table_sizes, metavar="SxE,...", help="of --scale: tables of S services with E endpoints in all; default: "
                        + ",".join(f"{s}x{e}" for s, e in scale.SIZES))
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
    if chosen.scale and (chosen.cases or chosen.asked_peers or chosen.idle or chosen.fault):
        parser.error("--scale goes with --sizes, --rounds, --seconds, --cpu, --csv and --png alone")
    if chosen.sizes and not chosen.scale:
        parser.error("--sizes goes with --scale")
    if chosen.idle and (chosen.cases or chosen.png or chosen.csv):
        parser.error("--idle measures memory alone: it goes without --cases, --csv and --png")
    if chosen.idle and chosen.idle > idle.most():
        parser.error(f"--idle {chosen.idle}: with {descriptors()} descriptors a process, "
                     f"all proxies can hold {idle.most()} relayed connections; ask for fewer")
    return chosen


def raise_descriptor_limit():
    """As far as it goes, for everybody alike."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def machine():
    control = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return f"{os.cpu_count()} processors, Linux {os.uname().release}, TCP congestion control {control}"
