"""1,000,000 GETs by name while tasks come, go and are killed: none fails, and neither memory nor descriptors grow."""
import os
import random

from support.faults import FaultTest
from support.nginx import Nginx
from support.quick_load import QuickLoad
from support.sandbox import wait_until

KEPT = 960_000  # over connections that stay
FRESH = 40_000  # over connections that come and go
REQUESTS = KEPT + FRESH


class Churn(FaultTest):
    settings = None

    def test_none_fails(self):
        self.host.connected_service("user-service", dns_name="user-svc", stop_timeout=5)
        nginx = Nginx(self.host, "user-service")
        self.addCleanup(nginx.end_all)
        for _ in range(4):
            nginx.start()
        self.host.wait_healthy("user-service", 4)
        # Connections that stay, and connections that come and go: each has failures of its own to show.
        kept = QuickLoad(self.host, "http://user-svc/api/users/1", requests=KEPT, connections=16)
        fresh = self.host.load("http://user-svc/api/users/1", requests=FRESH, connections=4, per_connection=3)
        chance = random.Random(1)
        ways = {"killed": nginx.kill, "terminated": nginx.finish, "stopped": nginx.stop}
        ends = dict.fromkeys(ways, 0)
        used = []
        while kept.is_running() or fresh.poll() is None:
            # Two healthy ones stay at any time: with none, a request would have nowhere to go.
            wait_until(lambda: len(self.host.instances("user-service")) >= 3, 20, "the new task is healthy")
            way = chance.choice(sorted(ways))
            task = nginx.tasks[chance.randrange(len(nginx.tasks))]
            identity = nginx.identity(task)
            ways[way](task)
            wait_until(lambda: identity not in {i["InstanceId"] for i in self.host.instances("user-service")}, 20,
                       f"the task that was {way} is no longer healthy")
            ends[way] += 1
            nginx.start()
            used.append(self.used())
        counts, fresh_counts = kept.finish(), self.host.finish_load(fresh)
        print(f"\n{counts['2xx'] + fresh_counts['ok']} of {REQUESTS} answered in {max(counts['seconds'], fresh_counts['seconds']):.0f} s; "
              f"tasks {ends}; longest {counts['longest_ms']:.0f} ms; (KiB, descriptors) of the proxy {used[0][0]} to {used[-1][0]}, "
              f"of the agent {used[0][1]} to {used[-1][1]}")
        self.assertEqual((counts["2xx"], counts["failed"], counts["errored"]), (KEPT, 0, 0), counts)
        self.assertEqual((fresh_counts["failures"], fresh_counts["ok"]), ([], FRESH))
        self.assertGreater(min(ends.values()), 0, ends)
        wait_until(lambda: self.answered() == REQUESTS, 10, lambda: f"all requests are counted, there are {self.answered()}")
        self.assert_flat(used)

    def answered(self):
        return self.host.metric("causeway_requests_total", discovery_name="user-service", code="2xx")

    def used(self):
        """(KiB, descriptors) of the proxy and of the agent."""
        return [(self.pss(pid), len(os.listdir(f"/proc/{pid}/fd"))) for pid in (self.host.proxy_pid(), self.host.agent.pid)]

    def assert_flat(self, used):
        """What the last third of the time took, beside what the second one did: the first warms up."""
        third = len(used) // 3
        tasks = len(used) - third
        for number, process in enumerate(("proxy", "agent")):
            # How many endpoints drain at once is chance. The agent keeps the record of a stopped task for an hour.
            for kind, what, slack in ((0, "KiB", 1024 if process == "proxy" else 1024 + 10 * tasks), (1, "descriptors", 64)):
                middle = max(sample[number][kind] for sample in used[third:2 * third])
                last = max(sample[number][kind] for sample in used[2 * third:])
                self.assertLessEqual(last, middle + slack, f"{what} of the {process}")
