"""Names as dig, libc and hand-made queries see them: aliases, Cloud Map, what is not ours, and broken queries."""
import re
import socket

from causeway_host import HostTest
from support.stub_dns import StubDns

RESOLVER = "192.0.2.53"


class Dns(HostTest):
    @classmethod
    def describe(cls):
        cls.host.sandbox.run(["ip", "address", "add", RESOLVER + "/32", "dev", "lo"])
        cls.stub = StubDns(cls.host.sandbox, RESOLVER)
        cls.addClassCleanup(cls.stub.close)
        cls.namespace = cls.host.namespace()
        cls.host.connected_service("user-service", dns_name="user-svc", discovery_name="users")

    def dig(self, name, *arguments, server=RESOLVER):
        out = self.host.sandbox.run(["dig", f"@{server}", "+tries=1", "+time=8", name, *arguments]).stdout
        return re.search(r"status: (\w+)", out)[1], out

    def answers(self, name, *arguments):
        return self.host.sandbox.run(["dig", f"@{RESOLVER}", "+tries=1", "+short", name, *arguments]).stdout.split()

    def cloud_map_service(self, name, **records):
        return self.host.cloud_map("CreateService", Name=name, NamespaceId=self.namespace, DnsConfig={
            "RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": t, "TTL": ttl} for t, ttl in records.items()]},
            HealthCheckCustomConfig={"FailureThreshold": 1})["Service"]["Id"]

    def register(self, service, instance, **attributes):
        self.host.finished(self.host.cloud_map("RegisterInstance", ServiceId=service, InstanceId=instance, Attributes=attributes))

    def test_alias_over_udp_tcp_and_edns(self):
        for options in ((), ("+tcp",), ("+noedns",), ("+bufsize=4096", "+dnssec")):
            status, out = self.dig("user-svc", *options)
            self.assertEqual(status, "NOERROR", out)
            self.assertRegex(out, r"user-svc\.\s+\d+\s+IN\s+A\s+127\.255\.\d+\.\d+", options)
            self.assertEqual("EDNS: version: 0" in out, options != ("+noedns",), out)
        self.assertRegex(self.answers("user-svc", "AAAA")[0], r"^100::")
        self.assertEqual(self.answers("USER-svc"), self.answers("user-svc"))

    def test_addresses_differ_by_name_and_stay(self):
        self.host.connected_service("orders", dns_name="orders")
        orders, users = self.answers("orders"), self.answers("user-svc")
        self.assertEqual((len(orders), len(users)), (1, 1))
        self.assertNotEqual(orders, users)

    def test_names_that_do_not_exist(self):
        status, out = self.dig("nothing.myapp.local")
        self.assertEqual(status, "NXDOMAIN")
        self.assertRegex(out, r"myapp\.local\.\s+\d+\s+IN\s+SOA")
        status, out = self.dig("user-svc", "TXT")
        self.assertEqual(status, "NOERROR")
        self.assertIn("ANSWER: 0", out)

    def test_nodata_has_the_soa(self):
        self.cloud_map_service("nodata", A=10)
        status, out = self.dig("nodata.myapp.local", "TXT")
        self.assertEqual(status, "NOERROR")
        self.assertRegex(out, r"myapp\.local\.\s+\d+\s+IN\s+SOA")

    def test_what_is_not_ours_goes_to_the_resolver_that_was_asked(self):
        self.assertEqual(self.answers("small.stub.test"), ["192.0.2.100"])
        self.assertEqual(len(self.answers("big.stub.test")), 40)  # truncated over UDP, so dig asks again over TCP
        self.assertIn(("big.stub.test", 1, "tcp"), self.stub.asked)
        self.assertEqual(self.dig("other.test")[0], "NXDOMAIN")

    def test_our_names_never_reach_the_resolver(self):
        self.answers("user-svc")
        self.answers("nothing.myapp.local")
        self.assertFalse([n for n, _, _ in self.stub.asked if "myapp" in n or "user-svc" in n])

    def test_a_silent_resolver_is_bounded(self):
        self.assertEqual(self.dig("silent.stub.test", "+time=20")[0], "SERVFAIL")  # dig gives up beyond that

    def test_cloud_map_multivalue(self):
        service = self.cloud_map_service("many", A=17)
        for n in range(10):
            self.register(service, f"i-{n}", AWS_INSTANCE_IPV4=f"10.0.0.{n + 1}")
        found = self.answers("many.myapp.local")
        self.assertEqual(len(found), 8, found)
        self.assertRegex(self.dig("many.myapp.local")[1], r"many\.myapp\.local\.\s+17\s+IN\s+A\s+10\.0\.0\.")

    def test_cloud_map_health(self):
        service = self.cloud_map_service("health", A=5)
        self.register(service, "good", AWS_INSTANCE_IPV4="10.1.0.1")
        self.register(service, "bad", AWS_INSTANCE_IPV4="10.1.0.2", AWS_INIT_HEALTH_STATUS="UNHEALTHY")
        self.assertEqual(self.answers("health.myapp.local"), ["10.1.0.1"])
        self.host.finished(self.host.cloud_map("DeregisterInstance", ServiceId=service, InstanceId="good"))
        self.assertEqual(self.answers("health.myapp.local"), ["10.1.0.2"])  # none is healthy: all

    def test_cloud_map_srv(self):
        service = self.cloud_map_service("typed", SRV=10, A=10)
        self.register(service, "one", AWS_INSTANCE_IPV4="10.2.0.1", AWS_INSTANCE_PORT="8125")
        self.assertEqual(" ".join(self.answers("typed.myapp.local", "SRV")), "1 1 8125 one.typed.myapp.local.")
        self.assertEqual(self.answers("one.typed.myapp.local"), ["10.2.0.1"])

    def test_unconnected_socket_sees_the_resolver_it_asked(self):
        script = f"""
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"\\x08user-svc\\0\\0\\x01\\0\\x01", ("{RESOLVER}", 53))
answer, peer = s.recvfrom(512); print(peer[0], peer[1], len(answer) > 30)"""
        self.assertEqual(self.host.sandbox.run(["python3", "-c", script]).stdout.split(), [RESOLVER, "53", "True"])

    def test_libc_resolves_without_any_resolver_reachable(self):
        # The address in /etc/resolv.conf is not reachable from here: the kernel part takes the query before routing does.
        out = self.host.sandbox.run(["getent", "ahostsv4", "user-svc"]).stdout
        self.assertRegex(out, r"^127\.255\.")

    def test_asked_directly(self):
        _, out = self.dig("user-svc", "-p", "15053", server="127.0.0.1")
        self.assertRegex(out, r"127\.255\.\d+\.\d+")

    def test_broken_queries_leave_it_alive(self):
        with self.host.sandbox.inside():
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.create_connection(("127.0.0.1", 15053), timeout=5)
        for packet in (b"\0", b"\xff" * 12, b"\0\1\1\0\0\1" + b"\0" * 6 + b"\xc0\x0c\0\1\0\1", b"\0\1\1\0\xff\xff" + b"\0" * 6,
                       b"\0\1\1\0\0\1" + b"\0" * 6 + b"\x3f" + b"a" * 20, b"x" * 2000):
            udp.sendto(packet, ("127.0.0.1", 15053))
        tcp.sendall(b"\xff\xff" + b"x" * 100)
        tcp.close()
        udp.close()
        self.assertEqual(len(self.answers("user-svc")), 1)
        self.assertIsNone(self.host.agent.poll())
