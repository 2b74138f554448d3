"""What is printed for people and written for programs."""
import csv
import statistics

COLUMNS = ["case", "protocol", "connections", "kept", "answer_bytes", "peer", "round", "position", "cpu_method", "seconds", "requests", "bytes",
           "requests_per_second", "p50_us", "p99_us", "cpu_us", "beyond_direct_us", "pss_kib", "endpoint_requests",
           "endpoint_connections", "proxy_requests", "proxy_connections"]


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
    direct = next(row["cpu_us"] for row in rows if row["peer"] == "direct")
    for row in rows:
        row["beyond_direct_us"] = row["cpu_us"] - direct


def summary(rows):
    """The rows of one peer in one case, over all rounds: medians, and how far the differences lie apart."""
    def median(name):
        return statistics.median(row[name] for row in rows)
    beyond = [row["beyond_direct_us"] for row in rows]
    return {"requests_per_second": median("requests_per_second"), "p50_us": median("p50_us"), "p99_us": median("p99_us"),
            "cpu_us": median("cpu_us"), "beyond": statistics.median(beyond), "least": min(beyond), "most": max(beyond),
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
             f"{'least .. most':>20}{'peak PSS MiB':>14}"]
    for peer, own in by_peer(rows).items():
        s = summary(own)
        beyond, spread, memory = f"{s['beyond']:+.1f}", f"{s['least']:+.1f} .. {s['most']:+.1f}", f"{s['pss_kib'] / 1024:.1f}" if s["pss_kib"] else "-"
        if peer == "direct":
            beyond = spread = memory = "-"
        lines.append(f"  {peer:<15}{s['requests_per_second']:>11.0f}{s['p50_us'] / 1000:>9.3f}{s['p99_us'] / 1000:>9.3f}{s['cpu_us']:>16.1f}"
                     f"{beyond:>15}{spread:>20}{memory:>14}")
    return "\n".join(lines)
