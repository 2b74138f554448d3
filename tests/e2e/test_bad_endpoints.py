"""Endpoints that refuse, hang, reset or are missing: a bounded answer, and another endpoint where there is one."""
import json
import socket
import time

from support.faults import FaultTest
from support.sandbox import wait_until


class BadEndpoints(FaultTest):
    settings = {**FaultTest.settings, 'service."myapp.local/ejected"': {"ejection_time": "1h"}}

    @staticmethod
    def reset(connection):
        connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def code(self, url, *arguments):
        started = time.monotonic()
        out = self.host.sandbox.run(["curl", "-s", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", *arguments, url], check=False)
        return out.stdout, time.monotonic() - started

    def test_without_endpoints(self):
        self.service("empty", [])
        code, seconds = self.code("http://empty/")
        self.assertIn(code, ("503", "000"))
        self.assertLess(seconds, 5)

    def test_refusing_endpoint_beside_a_good_one(self):
        self.service("half", [self.free_port(), self.server(self.ok)])
        self.assertEqual({self.code("http://half/")[0] for _ in range(20)}, {"200"})
        self.assertGreater(self.host.metric("causeway_retries_total", discovery_name="half"), 0)

    def test_a_failing_endpoint_is_left_out_for_a_while(self):
        self.service("ejected", [self.free_port(), self.server(self.ok)])
        for _ in range(30):
            self.assertEqual(self.code("http://ejected/")[0], "200")
        # Each of the two workers watches for itself.
        self.assertIn(self.host.metric("causeway_ejections_total", discovery_name="ejected"), (1, 2))

    def test_only_refusing_endpoints(self):
        self.service("refusing", [self.free_port()])
        code, seconds = self.code("http://refusing/")
        self.assertIn(code, ("502", "503"))
        self.assertLess(seconds, 5)

    def test_hanging_connect(self):
        # A listener whose accept queue is full drops further SYNs.
        with self.host.sandbox.inside():
            full = socket.socket()
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            fillers = []
            for _ in range(3):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
                fillers.append(filler)
        for each in (full, *fillers):
            self.addCleanup(each.close)
        self.service("hanging", [full.getsockname(), self.server(self.ok)])
        for _ in range(4):
            code, seconds = self.code("http://hanging/")
            self.assertEqual(code, "200")
            self.assertLess(seconds, 4)

    def test_reset_before_the_answer(self):
        self.service("resetting", [self.server(self.reset), self.server(self.ok)])
        self.assertEqual({self.code("http://resetting/")[0] for _ in range(10)}, {"200"})  # GET is idempotent

    def test_reset_of_a_post_is_not_repeated(self):
        received = []

        def counting(connection):
            received.append(connection.recv(65536))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        self.service("post", [self.server(counting)])
        code, _ = self.code("http://post/", "-d", "once")
        self.assertIn(code, ("502", "503", "000"))
        self.assertEqual(len(received), 1)

    def test_a_broken_answer(self):
        def broken(connection):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nhello")

        self.service("broken", [self.server(broken)])
        self.assertEqual(self.code("http://broken/")[0], "502")

    def test_silent_endpoint_is_given_up(self):
        self.host.ecs("CreateCluster", clusterName="production")
        self.host.ecs("RegisterTaskDefinition", family="silent", containerDefinitions=[
            {"name": "app", "image": "none", "portMappings": [{"name": "http", "containerPort": 3000, "appProtocol": "http"}]}])
        self.host.ecs("CreateService", cluster="production", serviceName="silent", taskDefinition="silent", desiredCount=1,
                      serviceConnectConfiguration={"enabled": True, "namespace": "myapp.local", "services": [{
                          "portName": "http", "discoveryName": "silent", "clientAliases": [{"port": 80, "dnsName": "silent"}],
                          "timeout": {"perRequestTimeoutSeconds": 1}}]})
        identity = next(s["Id"] for s in self.host.cloud_map("ListServices")["Services"] if s["Name"] == "silent")
        address, port = self.server(lambda connection: connection.recv(65536) and connection.recv(1))
        self.host.finished(self.host.cloud_map("RegisterInstance", ServiceId=identity, InstanceId="one", Attributes={
            "AWS_INSTANCE_IPV4": address, "AWS_INSTANCE_PORT": str(port)}))
        code, seconds = self.code("http://silent/")
        self.assertEqual(code, "504")
        self.assertLess(seconds, 5)

    def test_explain_says_why_one_is_left_out(self):
        self.service("why", [self.server(self.ok)])
        task = self.host.start_task("why", ("sleep", "60"))  # never listens
        self.addCleanup(task.wait)
        self.addCleanup(task.kill)
        address = wait_until(lambda: [i["Attributes"]["AWS_INSTANCE_IPV4"] for i in self.host.instances("why", health="ALL")
                                      if "ECS_SERVICE_NAME" in i["Attributes"]], 5, "the task is registered")[0]
        text = self.host.causeway("explain", "why:80").stdout
        self.assertIn(address, text)
        self.assertRegex(text, "starting|listen")
        json.loads(self.host.causeway("explain", "why:80", "--json").stdout)
        self.assertEqual({self.code("http://why/")[0] for _ in range(4)}, {"200"})
        wait_until(lambda: self.host.metric("causeway_endpoints", discovery_name="why") >= 1, 5, "endpoints are counted")
