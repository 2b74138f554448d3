"""nginx as a task: an endpoint that is quick enough to be under load, and can be ended in each way a task can."""
import shutil
import signal

from support.sandbox import wait_until

CONFIG = """
daemon off; worker_processes 1; error_log %s/nginx.log crit; events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path /tmp;
  server { listen 3000 backlog=4096; default_type application/json; return 200 '{"task": "$server_addr"}\\n'; } }
"""


class Nginx:
    """The tasks of one service, each an nginx on port 3000 that answers every request with its address."""

    def __init__(self, host, service):
        self.host = host
        self.service = service
        self.config = host.directory / f"nginx-{service}.conf"
        self.config.write_text(CONFIG % host.directory)
        self.started = 0
        self.tasks = []

    def start(self):
        self.started += 1
        # nginx removes its pid file when it ends: each has its own, and none is a device.
        pid_file = f"{self.host.directory}/nginx-{self.service}-{self.started}.pid"
        task = self.host.start_task(self.service, (shutil.which("nginx") or "/usr/sbin/nginx", "-c", self.config,
                                                   "-g", f"pid {pid_file};"))
        self.tasks.append(task)
        return task

    def kill(self, task):
        """The whole task at once: of a master that outlived its worker by a moment, another worker would be left."""
        self.tasks.remove(task)
        # One just started is `causeway run` for a moment, in the cgroup of everything that the test runs.
        path = wait_until(lambda: self._task_cgroup(task), 10, f"process {task.pid} is in its task's cgroup")
        with open(f"{self.host.sandbox.mount}{path}/cgroup.kill", "w") as kill:
            kill.write("1")
        task.wait()

    @staticmethod
    def _task_cgroup(task):
        with open(f"/proc/{task.pid}/cgroup") as cgroups:
            path = next(line.split(":", 2)[2].strip() for line in cgroups if line.startswith("0:"))
        return path if "/tasks/" in path else None

    def finish(self, task):
        """It answers what it has, then ends."""
        self.tasks.remove(task)
        task.send_signal(signal.SIGQUIT)

    def stop(self, task):
        """By the API, which drains it first."""
        self.tasks.remove(task)
        self.host.ecs("StopTask", cluster="production", task=self.identity(task))

    def end_all(self):
        for task in list(self.tasks):
            self.kill(task)

    def identity(self, task):
        """Of the process's task; one just started is `causeway run` for a moment, and no task yet."""
        return wait_until(lambda: next((t["id"] for t in self.host.causeway_json("tasks")["tasks"] if t["pid"] == task.pid), None),
                          10, f"process {task.pid} is a task")
