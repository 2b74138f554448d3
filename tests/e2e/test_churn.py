"""100,000 GETs by name while tasks come, go and are killed: none fails."""
import os
import random
import shutil
import signal

from causeway_host import HostTest
from support.sandbox import wait_until

REQUESTS = 100_000


class Churn(HostTest):
    @classmethod
    def describe(cls):
        cls.host.namespace()
        cls.host.connected_service("user-service", dns_name="user-svc", stop_timeout=5)
        cls.config = cls.host.directory / "nginx.conf"
        cls.config.write_text(
            "daemon off; worker_processes 1; error_log stderr crit; events { worker_connections 1024; }\n"
            "http { access_log off; keepalive_requests 1000000; client_body_temp_path /tmp;\n"
            "  server { listen 3000; default_type application/json; return 200 '{\"task\": \"$server_addr\"}\\n'; } }\n")

    started = 0

    def start_task(self):
        Churn.started += 1
        # nginx removes its pid file when it ends: each has its own, and none is a device.
        return self.host.start_task("user-service", (shutil.which("nginx") or "/usr/sbin/nginx", "-c", self.config,
                                                     "-g", f"pid {self.host.directory}/nginx-{Churn.started}.pid;"))

    def test_none_fails(self):
        tasks = [self.start_task() for _ in range(4)]
        self.host.wait_healthy("user-service", 4)
        # Connections that stay, and connections that come and go: each has failures of its own to show.
        loads = [self.host.load("http://user-svc/api/users/1", requests=REQUESTS * 8 // 10, connections=8),
                 self.host.load("http://user-svc/api/users/1", requests=REQUESTS * 2 // 10, connections=4, per_connection=3)]
        chance = random.Random(1)
        ends = {"killed": 0, "terminated": 0, "stopped": 0}
        while any(load.poll() is None for load in loads):
            # Two healthy ones stay at any time: with none, a request would have nowhere to go.
            wait_until(lambda: len(self.host.instances("user-service")) >= 3, 20, "the new task is healthy")
            victim = tasks.pop(chance.randrange(len(tasks)))
            way = chance.choice(sorted(ends))
            if way == "killed":
                self.kill_with_workers(victim)
            elif way == "terminated":
                victim.send_signal(signal.SIGQUIT)  # nginx: finish what it has, then end
            else:
                self.host.ecs("StopTask", cluster="production", task=self.task_id(victim))
            ends[way] += 1
            tasks.append(self.start_task())
        counts = [self.host.finish_load(load) for load in loads]
        print(f"\n{sum(c['ok'] for c in counts)} of {REQUESTS} answered over {sum(c['connections'] for c in counts)} connections in "
              f"{max(c['seconds'] for c in counts):.0f} s; tasks {ends}; p99 {max(c['p99'] for c in counts) * 1000:.1f} ms, "
              f"longest {max(c['max'] for c in counts) * 1000:.0f} ms")
        self.assertEqual([c["failures"] for c in counts], [[], []])
        self.assertEqual(sum(c["ok"] for c in counts), REQUESTS)
        self.assertGreater(min(ends.values()), 0, ends)
        self.assertEqual(self.host.metric("causeway_requests_total", code="2xx"), REQUESTS)

    def kill_with_workers(self, task):
        """The whole task at once, nginx's worker before its master."""
        for pid in self.children(task.pid) + [task.pid]:
            os.kill(pid, signal.SIGKILL)
        task.wait()

    def task_id(self, process):
        """Of the process's task; one just started is `causeway run` for a moment, and no task yet."""
        return wait_until(lambda: next((t["id"] for t in self.host.causeway_json("tasks")["tasks"] if t["pid"] == process.pid), None),
                          10, f"process {process.pid} is a task")

    @staticmethod
    def children(pid):
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return [int(child) for child in children.read().split()]
