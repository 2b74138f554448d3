"""What is printed for people and written for programs."""
import csv
import math
import statistics

COLUMNS = ["case", "protocol", "connections", "kept", "answer_bytes", "peer", "round", "position", "cpu_method", "seconds", "requests", "bytes",
           "requests_per_second", "p50_us", "p99_us", "cpu_us", "beyond_direct_us", "percent_of_direct", "p50_beyond_direct_us",
           "p99_beyond_direct_us", "pss_kib", "endpoint_requests", "endpoint_connections", "proxy_requests", "proxy_connections"]
PERCENTILES = ("p50", "p99")
BESIDE_DIRECT = {"requests/s in % of direct": ("percent_of_direct", "{:.0f}"), "p50 us beyond direct": ("p50_beyond_direct_us", "{:+.0f}"),
                 "p99 us beyond direct": ("p99_beyond_direct_us", "{:+.0f}")}


def rounded(value):
    return round(value, 3) if isinstance(value, float) else value


class CsvFile:
    """One row a run, written at once: what was measured stays if a later run fails."""

    def __init__(self, path):
        self._file = open(path, "w", newline="") if path else None
        self._writer = csv.DictWriter(self._file, COLUMNS) if path else None
        if path:
            self._writer.writeheader()

    def write(self, rows):
        if self._file:
            for row in rows:
                self._writer.writerow({name: rounded(value) for name, value in row.items()})
            self._file.flush()

    def close(self):
        if self._file:
            self._file.close()


def pair_with_direct(rows):
    """Adds to the rows of one round what each took beyond the direct connection of that round."""
    direct = next(row for row in rows if row["peer"] == "direct")
    for row in rows:
        row["beyond_direct_us"] = row["cpu_us"] - direct["cpu_us"]
        row["percent_of_direct"] = 100 * row["requests_per_second"] / direct["requests_per_second"]
        for percentile in PERCENTILES:
            row[f"{percentile}_beyond_direct_us"] = row[f"{percentile}_us"] - direct[f"{percentile}_us"]


CONFIDENCE = 0.95
ENOUGH_ROUNDS = 6  # of so many the least and the most enclose the median with 1 - 2 / 2**6 = 96.9 %, of one fewer with 93.75 %
INTERVAL = (f"interval: where the median lies with 95 % confidence, whatever the shape of the spread (order statistics), if the rounds are\n"
            f"independent of each other; of fewer than {ENOUGH_ROUNDS} rounds it is the least and the most, which says less")


def interval(values):
    """The two of the values, at least one and in any order, between which their distribution's median lies with that confidence; of fewer than
    ENOUGH_ROUNDS the least and the most. It takes the values as independent draws from one distribution."""
    ordered = sorted(values)
    count = len(ordered)

    def missed(left_out):
        """How likely the median lies outside, without so many values at each end."""
        return 2 * sum(math.comb(count, i) for i in range(left_out + 1)) / 2 ** count

    left_out = 0
    while missed(left_out + 1) <= 1 - CONFIDENCE:
        left_out += 1
    return ordered[left_out], ordered[-1 - left_out]


def interval_name(rounds):
    """What interval() is, of so many rounds."""
    return "95 % interval" if rounds >= ENOUGH_ROUNDS else f"least and most of {rounds}"


def summary(rows):
    """The rows of one peer in one case, over all rounds: medians, and the interval of that of the differences."""
    def median(name):
        return statistics.median(row[name] for row in rows)
    beyond = [row["beyond_direct_us"] for row in rows]
    low, high = interval(beyond)
    return {"requests_per_second": median("requests_per_second"), "p50_us": median("p50_us"), "p99_us": median("p99_us"),
            "cpu_us": median("cpu_us"), "beyond": statistics.median(beyond), "low": low, "high": high,
            "pss_kib": max(row["pss_kib"] for row in rows)}


def by_peer(rows):
    found = {}
    for row in rows:
        found.setdefault(row["peer"], []).append(row)
    return found


def table(case, rows):
    """The lines of one case."""
    lines = [f"{case.name}: {case.describe()}",
             f"  {'':<15}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/request':>16}{'beyond direct':>15}"
             f"{'interval':>20}{'peak PSS MiB':>14}"]
    for peer, own in by_peer(rows).items():
        s = summary(own)
        beyond, spread, memory = f"{s['beyond']:+.1f}", f"{s['low']:+.1f} .. {s['high']:+.1f}", f"{s['pss_kib'] / 1024:.1f}" if s["pss_kib"] else "-"
        if peer == "direct":
            beyond = spread = memory = "-"
        lines.append(f"  {peer:<15}{s['requests_per_second']:>11.0f}{s['p50_us'] / 1000:>9.3f}{s['p99_us'] / 1000:>9.3f}{s['cpu_us']:>16.1f}"
                     f"{beyond:>15}{spread:>20}{memory:>14}")
    return "\n".join([*lines, *beside_direct(rows)])


def beside_direct(rows):
    """Lines that set each peer's requests/s and latencies beside the direct connection's of the same round."""
    for title, (column, number) in BESIDE_DIRECT.items():
        found = []
        for peer, own in by_peer(rows).items():
            if peer != "direct":
                values = [row[column] for row in own]
                found.append(f"{{}} {number} ({number} .. {number})".format(peer, statistics.median(values), *interval(values)))
        if found:
            yield f"  {title} (interval): {', '.join(found)}"
