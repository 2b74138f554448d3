"""Two agents on one machine, as two hosts: the same names, each with its own answers."""
import json
import os
import unittest

from causeway_host import Host


class TwoHosts(unittest.TestCase):
    def test_each_serves_its_own_namespace_alone(self):
        hosts = []
        for _ in range(2):
            host = Host()
            self.addCleanup(host.close)
            host.start()
            host.namespace()
            host.connected_service("user-service", dns_name="user-svc")
            hosts.append((host, host.start_task("user-service")))
        for host, task in hosts:
            host.wait_healthy("user-service", 1)
            self.assertEqual({self.answering_pid(host) for _ in range(4)}, {task.pid})
        first, second = hosts
        first[1].kill()
        first[1].wait()
        first[0].stop()  # asserts that nothing of it is left
        self.assertEqual({self.answering_pid(second[0]) for _ in range(4)}, {second[1].pid})
        self.assertTrue(os.path.isdir(second[0].pin_root))

    @staticmethod
    def answering_pid(host):
        return json.loads(host.get("http://user-svc/api/users/1"))["pid"]
