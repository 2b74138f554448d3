"""Programs as tasks: five copies on one port, exit status, signals, stop-task, and every way a task can end."""
import http.server
import json
import os
import signal
import subprocess
import threading

from causeway_host import SERVER, HostTest
from support.sandbox import wait_until

SELF_CHECK = f"""
import json, subprocess, sys, time, urllib.request
server = subprocess.Popen([sys.executable, "{SERVER}"])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
while True:
    try:
        for host in ("127.0.0.1", "localhost"):
            print(json.load(opener.open(f"http://{{host}}:3000/api/users/1"))["pid"] == server.pid, flush=True)
        break
    except OSError:
        time.sleep(0.05)
server.wait()
"""


class Tasks(HostTest):
    @classmethod
    def describe(cls):
        cls.host.namespace()
        cls.host.connected_service("user-service", dns_name="user-svc", stop_timeout=2)

    def tearDown(self):
        self.host.end_tasks()
        wait_until(lambda: not self.host.instances("user-service", health="ALL"), 10, "no task is left")

    def task_arns(self):
        return self.host.ecs("ListTasks", cluster="production")["taskArns"]

    def described(self, arn):
        return self.host.ecs("DescribeTasks", cluster="production", tasks=[arn])["tasks"][0]

    def test_five_copies_on_one_port(self):
        checks = [self.host.start_task("user-service", ("python3", "-c", SELF_CHECK), stdout=subprocess.PIPE, text=True)
                  for _ in range(5)]
        found = self.host.wait_healthy("user-service", 5)
        self.assertEqual(len({i["Attributes"]["AWS_INSTANCE_IPV4"] for i in found}), 5)
        answered = {json.loads(self.host.get("http://user-svc/api/users/1"))["task"] for _ in range(10)}
        self.assertEqual(len(answered), 5, answered)
        for check in checks:  # each reached itself, by address and by name, and none of the others
            self.assertEqual([check.stdout.readline() for _ in range(2)], ["True\n"] * 2)
        self.assertEqual(self.host.ecs("DescribeServices", cluster="production", services=["user-service"])["services"][0]["runningCount"], 5)

    def test_nginx_as_a_task(self):
        config = self.host.directory / "nginx.conf"
        config.write_text("daemon off; worker_processes 1; error_log stderr; pid " + str(self.host.directory) + "/nginx.pid; events {}\n"
                          "http { access_log off; client_body_temp_path /tmp; server { listen 3000; listen [::]:3000; return 200 nginx; } }\n")
        self.host.start_task("user-service", ("/usr/sbin/nginx", "-c", config), stderr=subprocess.DEVNULL)
        self.host.wait_healthy("user-service", 1)
        self.assertEqual(self.host.get("http://user-svc/"), "nginx")

    def test_servers_on_each_wildcard_and_loopback_address(self):
        for address in ("0.0.0.0", "::", "127.0.0.1", "::1"):
            with self.subTest(address):
                family = "AF_INET6" if ":" in address else "AF_INET"
                script = f"import socket; s = socket.socket(socket.{family}); s.bind(('{address}', 3000)); s.listen(); s.accept()[0].recv(100)"
                task = self.host.start_task("user-service", ("python3", "-c", script))
                found = self.host.wait_healthy("user-service", 1)
                self.assertRegex(found[0]["Attributes"]["AWS_INSTANCE_IPV4"], r"^127\.254\.")
                task.kill()
                task.wait()
                wait_until(lambda: not self.host.instances("user-service"), 5, "the task is gone")

    def test_exit_status_and_signals_are_the_programs(self):
        for command, status in ((("sh", "-c", "exit 0"), 0), (("sh", "-c", "exit 42"), 42), (("sh", "-c", "kill -TERM $$"), -signal.SIGTERM)):
            self.assertEqual(self.host.run_in_task("user-service", command, check=False).returncode, status)
        missing = self.host.run_in_task("user-service", ("/no/such/program",), check=False)
        self.assertEqual(missing.returncode, 127)
        self.assertIn("/no/such/program", missing.stderr)
        task = self.host.start_task("user-service", ("python3", "-c", "import signal, sys; signal.signal(signal.SIGINT, lambda *a: sys.exit(7));"
                                                     "print('up', flush=True); signal.pause()"), stdout=subprocess.PIPE)
        task.stdout.readline()
        task.send_signal(signal.SIGINT)
        self.assertEqual(task.wait(5), 7)

    def test_user_and_environment(self):
        out = self.host.run_in_task("user-service", ("sh", "-c", "id -un; echo $COLOUR; pwd"),
                                    options=("--user", "nobody", "--env", "COLOUR=green=ish")).stdout.splitlines()
        self.assertEqual(out[:2], ["nobody", "green=ish"])
        self.assertEqual(out[2], os.getcwd())

    def test_unknown_service_says_so(self):
        refused = self.host.run_in_task("nothing", ("true",), check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("nothing", refused.stderr)
        refused = self.host.run_in_task("user-service", ("true",), cluster="nowhere", check=False)
        self.assertIn("nowhere", refused.stderr)

    def test_stop_task(self):
        task = self.host.start_task("user-service")
        self.host.wait_healthy("user-service", 1)
        arn = self.task_arns()[0]
        answer = self.host.ecs("StopTask", cluster="production", task=arn, reason="enough")["task"]
        self.assertEqual(answer["desiredStatus"], "STOPPED")
        self.assertEqual(task.wait(15), 0)  # the server ends by itself on SIGTERM
        stopped = wait_until(lambda: (t := self.described(arn))["lastStatus"] == "STOPPED" and t, 5, "the task is STOPPED")
        self.assertEqual(stopped["stoppedReason"], "enough")
        self.assertEqual(self.host.instances("user-service", health="ALL"), [])

    def test_stop_task_kills_what_ignores_sigterm(self):
        task = self.host.start_task("user-service", ("python3", "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
                                                     "print('up', flush=True)\nwhile True: signal.pause()"), stdout=subprocess.PIPE)
        task.stdout.readline()
        self.host.ecs("StopTask", cluster="production", task=self.task_arns()[0])
        self.assertEqual(task.wait(15), -signal.SIGKILL)

    def test_a_killed_task_leaves_at_once(self):
        task = self.host.start_task("user-service")
        self.host.wait_healthy("user-service", 1)
        arn = self.task_arns()[0]
        task.kill()
        task.wait()
        wait_until(lambda: not self.host.instances("user-service", health="ALL"), 2, "its instance is gone")
        self.assertEqual(self.described(arn)["lastStatus"], "STOPPED")

    def test_what_a_task_forked_belongs_to_it(self):
        task = self.host.start_task("user-service", ("sh", "-c", f"python3 {SERVER} & echo $!; exec sleep 1000"),
                                    stdout=subprocess.PIPE, text=True)
        server = int(task.stdout.readline())
        self.host.wait_healthy("user-service", 1)
        arn = self.task_arns()[0]
        task.kill()
        task.wait()
        self.assertEqual(self.host.get("http://user-svc/health"), "ok\n")  # the server lives on, and so does the task
        self.assertEqual(self.described(arn)["lastStatus"], "RUNNING")
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: self.described(arn)["lastStatus"] == "STOPPED", 5, "the task is STOPPED")

    def test_a_port_that_closes_is_unhealthy_until_it_listens_again(self):
        script = ("import socket, sys\nwhile True:\n s = socket.create_server(('0.0.0.0', 3000)); print('up', flush=True);"
                  " sys.stdin.readline(); s.close(); print('down', flush=True); sys.stdin.readline()")
        task = self.host.start_task("user-service", ("python3", "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2):
            self.assertEqual(task.stdout.readline(), "up\n")
            self.host.wait_healthy("user-service", 1)
            task.stdin.write("\n")
            task.stdin.flush()
            self.assertEqual(task.stdout.readline(), "down\n")
            wait_until(lambda: not self.host.instances("user-service"), 5, "the instance is not healthy")
            task.stdin.write("\n")
            task.stdin.flush()

    def test_registered_by_hand_beside_tasks(self):
        self.host.start_task("user-service")
        self.host.wait_healthy("user-service", 1)
        service = self.host.cloud_map("ListServices")["Services"][0]["Id"]
        with self.host.sandbox.inside():
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 9999), http.server.SimpleHTTPRequestHandler)
            server.RequestHandlerClass.log_message = lambda *_: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.host.finished(self.host.cloud_map("RegisterInstance", ServiceId=service, InstanceId="by-hand", Attributes={
            "AWS_INSTANCE_IPV4": "127.0.0.1", "AWS_INSTANCE_PORT": "9999"}))
        # Round robin goes by request, within one worker of the proxy: one connection meets one worker.
        codes = self.host.sandbox.run(["curl", "-s", "--noproxy", "*", "-w", "%{http_code} ", *["-o", "/dev/null", "http://user-svc/health"] * 4]).stdout
        self.assertEqual(sorted(codes.split()), ["200", "200", "404", "404"])
        self.host.finished(self.host.cloud_map("DeregisterInstance", ServiceId=service, InstanceId="by-hand"))
        self.assertEqual({self.host.get("http://user-svc/health") for _ in range(4)}, {"ok\n"})
