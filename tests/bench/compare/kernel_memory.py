"""What tables and connections take of the kernel's memory."""
import json
import pathlib
import statistics
import subprocess
import time

import measure
import scale_hosts

MAPS_A_SERVICE = ("services", "service_states", "aliases")
MAPS_AN_ENDPOINT = ("endpoints", "endpoint_states")
HELD, TIMES = 8000, 5
SETTLED = 0.5  # seconds after which what was closed is freed


def map_bytes(host):
    """{map: bytes with its entries}, as the kernel accounts them (since Linux 6.4)."""
    found = {}
    pins = next(pathlib.Path(host.pin_root).glob("maps-*"))
    for pin in pins.iterdir():
        shown = json.loads(subprocess.run(["bpftool", "-j", "map", "show", "pinned", pin], capture_output=True, text=True, check=True).stdout)
        found[pin.name] = int(shown["bytes_memlock"])
    return found


def show_tables(hosts):
    """Each table's, and from the difference between the smallest and the largest what a service and an endpoint take."""
    print("Kernel memory of the tables (BPF maps, by the kernel's own account):")
    found = {host: map_bytes(host.host) for host in hosts}
    for host, maps in found.items():
        largest = sorted(maps.items(), key=lambda item: -item[1])[:4]
        print(f"  {host.name:<16}{sum(maps.values()) / 2**20:>7.1f} MiB, most of it: "
              + ", ".join(f"{name} {size / 2**20:.2f}" for name, size in largest))
    few, many = (pick(hosts, key=lambda host: (host.services, host.endpoints)) for pick in (min, max))
    for what, names, count in (("a service with an alias", MAPS_A_SERVICE, many.services - few.services),
                               ("an endpoint", MAPS_AN_ENDPOINT, many.endpoints - few.endpoints)):
        if count > 0:
            each = {name: (found[many][name] - found[few][name]) / count for name in names}
            print(f"  {what}: {sum(each.values()):.0f} B (" + ", ".join(f"{name} {size:.0f}" for name, size in each.items()) + ")")


def unreclaimable():
    fields = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    return int(fields["SUnreclaim"].split()[0]) * 1024


def held(sandbox, cgroup, target):
    """Bytes of unreclaimable slabs that an open connection takes, over both of its ends."""
    time.sleep(SETTLED)
    before = unreclaimable()
    process = sandbox.popen([scale_hosts.DIAL, "hold", HELD], cgroup=cgroup, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(target + "\n\n")
    process.stdin.flush()
    if process.stdout.readline() != "held\n":
        raise measure.CheckFailed(f"{HELD} connections to {target} could not be opened")
    time.sleep(SETTLED)
    after = unreclaimable()
    process.stdin.close()
    process.wait(30)
    return (after - before) / HELD


def show_connections(host):
    """Of direct ones and of those by the kernel path, in turn."""
    host.host.connected_service("held", dns_name="held")
    service = next(s for s in host.host.cloud_map("ListServices", MaxResults=100)["Services"] if s["Name"] == "held")
    host.host.cloud_map("RegisterInstance", ServiceId=service["Id"], InstanceId="held", Attributes={
        "AWS_INSTANCE_IPV4": scale_hosts.endpoint(0), "AWS_INSTANCE_PORT": str(scale_hosts.KEEPING_PORT)})
    host.table.wait_followed()
    alias = next(alias["vip4"] for s in host.host.causeway_json("services")["services"] for alias in s["aliases"] if alias["name"] == "held")
    ways = {"direct": (host.sandbox.cgroup, f"{scale_hosts.endpoint(0)}:{scale_hosts.KEEPING_PORT}"),
            "causeway-kernel": (host.sandbox.clients, f"{alias}:{scale_hosts.ALIAS_PORT}")}
    found = {name: [] for name in ways}
    for _ in range(TIMES):
        for name, (cgroup, target) in ways.items():
            found[name].append(held(host.sandbox, cgroup, target))
    medians = {name: statistics.median(each) for name, each in found.items()}
    print(f"Kernel memory of an open connection, both ends, over {HELD} (unreclaimable slabs, median of {TIMES}): "
          + ", ".join(f"{name} {medians[name]:.0f} B ({min(each):.0f} .. {max(each):.0f})" for name, each in found.items()))
    print(f"  the kernel path's own part: {medians['causeway-kernel'] - medians['direct']:.0f} B\n")


def show(hosts):
    show_tables(hosts)
    show_connections(min(hosts, key=lambda host: (host.services, host.endpoints)))
