"""What a connection costs at growing tables of services, by the kernel path and by iptables, and what a table takes of the kernel's memory."""
import contextlib
import csv
import statistics
import sys

import kernel_memory
import measure
import plot
import report
import scale_hosts
import usage

SIZES = ((1, 1), (1, 10), (100, 1_000), (1_000, 10_000), (10_000, 100_000), (1, 1_000), (1, 10_000), (1, 100_000))
CHANGES = 100
COLUMNS = ["services", "endpoints", "peer", "round", "position", "cpu_method", "seconds", "connections", "cpu_us", "beyond_direct_us",
           "p50_us", "p99_us"]

EXPLANATION = """\
Each table of services x endpoints stands on a host of its own (network namespace, cgroup, agent), all at once; one server, in another
namespace, has every endpoint's address. In each of {rounds} rounds every way is measured for {seconds:g} s, in an order that rotates. A connection
is opened to a target drawn from the whole table, and ended by the server: {threads} threads, one connection after the other each.
Services are `path = kernel`, endpoints lie dealt out in turn. direct dials the endpoints' addresses, direct-again does so once more: their
difference is the noise. dnat is the table as iptables rules, a chain a service, an endpoint drawn by `statistic`, as kube-proxy makes them.
"""


class _Sides:
    """What usage.OwnCpu wants of a topology."""

    def __init__(self, client, server):
        self.client, self.server = client, server


def ways_of(hosts):
    return [way for host in hosts for way in host.ways]


def measure_way(way, server, cpu, seconds, seed):
    # Of a large table the metrics take seconds: once is enough to see that the way is the one it is to be.
    counted = way.counted() if seed == 1 else None
    accepted, tracked = server.accepted(), way.tracked()
    before = cpu.seconds()
    done = way.dial(seconds, seed)
    used = cpu.seconds() - before
    what = f"{way.table.name}, {way.name}"

    def check(holds, text):
        if not holds:
            raise measure.CheckFailed(f"{what}: {text}")
    check(done["failed"] == 0, f"{done['failed']} of {done['connections']} connections failed: {done['error']}")
    check(done["connections"] > 0, "no connection was made")
    rose = server.accepted() - accepted
    check(rose >= done["connections"], f"{done['connections']} connections were made, and the server took {rose}")
    if counted is not None:
        rose = way.counted() - counted
        check(rose >= done["connections"], f"{done['connections']} connections were made, and the BPF programs counted {rose:g}")
    if way.name != "dnat":
        check(way.tracked() <= tracked, "its connections were tracked by conntrack")
    return {"seconds": done["seconds"], "connections": done["connections"], "cpu_us": used * 1e6 / done["connections"],
            "p50_us": done["p50_us"], "p99_us": done["p99_us"]}


def measure_rounds(hosts, server, chosen, out):
    ways = ways_of(hosts)
    cpus = {way: usage.METHODS[chosen.cpu](_Sides(way.sandbox, server.sandbox)) for way in ways}
    for way in ways:
        way.dial(min(0.5, chosen.seconds), 0)
    rows = []
    for number in range(chosen.rounds):
        of_round = {}
        by = number % len(ways)
        for position, way in enumerate(ways[by:] + ways[:by]):
            figures = measure_way(way, server, cpus[way], chosen.seconds, number + 1)
            of_round[way] = {"services": way.table.services, "endpoints": way.table.endpoints, "peer": way.name, "round": number + 1,
                             "position": position + 1, "cpu_method": chosen.cpu, **figures}
        directs = {(row["services"], row["endpoints"]): row["cpu_us"] for row in of_round.values() if row["peer"] == "direct"}
        for way in ways:
            row = of_round[way]
            row["beyond_direct_us"] = row["cpu_us"] - directs[row["services"], row["endpoints"]]
            rows.append(row)
            out.writerow({name: report.rounded(value) for name, value in row.items()})
        print(f"round {number + 1} of {chosen.rounds} done", file=sys.stderr)
    return rows


def size_of(row):
    return row["services"], row["endpoints"]


def summaries(rows):
    """Of each (size, peer): medians, and the interval of what lies beyond direct."""
    found = {}
    for row in rows:
        found.setdefault((size_of(row), row["peer"]), []).append(row)
    return {key: {**{name: statistics.median(row[name] for row in own) for name in ("cpu_us", "beyond_direct_us", "p50_us", "p99_us")},
                  "interval": report.interval([row["beyond_direct_us"] for row in own]),
                  "per_second": statistics.median(row["connections"] / row["seconds"] for row in own)}
            for key, own in found.items()}


def show(rows):
    print(f"{'services':>9}{'endpoints':>10}  {'':<15}{'connections/s':>14}{'connect p50 us':>15}{'p99 us':>8}{'CPU us':>9}{'beyond direct':>15}"
          f"{'interval':>20}")
    for (size, peer), s in summaries(rows).items():
        beyond, spread = f"{s['beyond_direct_us']:+.1f}", "{:+.1f} .. {:+.1f}".format(*s["interval"])
        if peer == "direct":
            beyond = spread = "-"
        print(f"{size[0]:>9,}{size[1]:>10,}  {peer:<15}{s['per_second']:>14,.0f}{s['p50_us']:>15.1f}{s['p99_us']:>8.1f}{s['cpu_us']:>9.1f}"
              f"{beyond:>15}{spread:>20}")
    print(report.INTERVAL + "\n")


def ratios(rows, peer, base):
    """Of each other size: the median over the rounds of its cost divided by that of `base` in the same round, with its interval."""
    costs = {}
    for row in rows:
        if row["peer"] == peer:
            costs.setdefault(size_of(row), {})[row["round"]] = row["cpu_us"]
    for size, by_round in costs.items():
        if size == base or base not in costs:
            continue
        each = [cost / costs[base][number] for number, cost in by_round.items() if number in costs[base]]
        yield size, statistics.median(each), *report.interval(each)


def show_ratios(rows, sizes):
    base = min(sizes)
    print(f"CPU time a connection beside that at {base[0]} service and {base[1]} endpoint, in the same round: median (interval)")
    for peer in ("direct", "direct-again", "causeway-kernel", "dnat"):
        for size, median, low, high in ratios(rows, peer, base):
            print(f"  {peer:<16}{size[0]:>7,} x {size[1]:<8,}{median:>7.3f} ({low:.3f} .. {high:.3f})")
    print()


def beyond_us(row):
    """CPU time of a connection beyond direct, us."""
    return row["beyond_direct_us"]


def beyond_percent(row):
    """The same, in % of the direct connection's of that table and round."""
    return 100 * row["beyond_direct_us"] / (row["cpu_us"] - row["beyond_direct_us"])


def over_tables(rows, peer, value):
    """Of value(row) over all tables of `peer`: the median over the rounds, and its interval (low, high), of each round's median over its tables.
    Tables of one round share what the machine did meanwhile, so that a round counts once, however many they are."""
    by_round = {}
    for row in rows:
        if row["peer"] == peer:
            by_round.setdefault(row["round"], []).append(value(row))
    each = [statistics.median(values) for values in by_round.values()]
    return statistics.median(each), *report.interval(each)


def show_over_tables(rows):
    print("CPU time a connection beyond direct, over all tables: each round's median over them, of those the median (interval)")
    for peer, what in (("direct-again", ", the noise"), ("causeway-kernel", "")):
        us, percent = ("{:+.1f} {unit} ({:+.1f} .. {:+.1f})".format(*over_tables(rows, peer, value), unit=unit)
                       for value, unit in ((beyond_us, "us"), (beyond_percent, "%")))
        print(f"  {peer:<16}{us}, {percent}{what}")
    print()


def show_changes(hosts):
    """What following a change of one endpoint takes at each table."""
    print(f"register-instance of one endpoint of a random service, {CHANGES} times, in ms: answered, and followed by the kernel's maps and all else")
    for host in hosts:
        answered, followed = host.table.change_times(CHANGES, scale_hosts.endpoint(host.endpoints), scale_hosts.PORT)
        print(f"  {host.name:<16}answered: median {statistics.median(answered):.2f}, worst {max(answered):.2f}; "
              f"followed: median {statistics.median(followed):.2f}, worst {max(followed):.2f}; "
              f"PSS: agent {usage.pss_kib([host.host.agent.pid]) / 1024:.0f} MiB, proxy {usage.pss_kib([host.host.proxy_pid()]) / 1024:.0f} MiB")
    print(flush=True)


def stand_up(sizes, server, undo, signals):
    """The hosts, all described; rules that take too long to load are left out."""
    hosts = []
    for size in sizes:
        with signals.held():
            host = scale_hosts.TableHost(size, server)
            undo.callback(host.close)
        host.describe()
        made = ", ".join(f"{what} {many / max(seconds, 1e-9):,.0f}/s" for what, (seconds, many) in host.table.seconds.items()
                         if what != "followed")
        print(f"{host.name}: described over the API: {made}", flush=True)
        hosts.append(host)
        with signals.held():
            rules = scale_hosts.RulesHost(size, server)
            undo.callback(rules.close)
        if rules.describe():
            print(f"{rules.name}: iptables-restore took {rules.seconds:.1f} s", flush=True)
            hosts.append(rules)
        else:
            print(f"{rules.name}: iptables-restore was ended after {scale_hosts.LOAD_LIMIT} s: not measured", flush=True)
    return hosts


def run(signals, chosen, machine):
    print(machine)
    print(EXPLANATION.format(rounds=chosen.rounds, seconds=chosen.seconds, threads=scale_hosts.THREADS))
    sizes = list(dict.fromkeys(chosen.sizes or SIZES))
    with contextlib.ExitStack() as undo:
        server = scale_hosts.Server()
        undo.callback(server.close)
        hosts = stand_up(sizes, server, undo, signals)
        print(flush=True)
        with open(chosen.csv or "/dev/null", "w", newline="") as file:
            out = csv.DictWriter(file, COLUMNS)
            out.writeheader()
            rows = measure_rounds(hosts, server, chosen, out)
        show(rows)
        if len(sizes) > 1:
            show_ratios(rows, sizes)
            show_over_tables(rows)
        described = [host for host in hosts if isinstance(host, scale_hosts.TableHost)]
        show_changes(described)
        kernel_memory.show(described)
        if chosen.png:
            plot.draw_scale(chosen.png, summaries(rows), f"{machine}; {chosen.rounds} rounds of {chosen.seconds:g} s; CPU time: {chosen.cpu}")
