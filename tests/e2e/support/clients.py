"""The AWS clients that people use, unmodified, playing the example: aws of Debian, aws of PyPI, boto3."""
import json
import os
import subprocess

CONTAINERS = [{"name": "app", "image": "none", "portMappings": [{"name": "http", "containerPort": 3000, "protocol": "tcp"}]}]


def client_environment(host):
    """The caller's environment without AWS settings and HTTP proxies, and with what `causeway env` sets."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("AWS_") and not k.upper().endswith("_PROXY")}
    return kept | host.environment() | {"AWS_PAGER": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
                                        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


class CommandLine:
    """The example's commands, word for word."""

    def __init__(self, host, executable):
        self.host = host
        self.executable = executable
        self.environment = client_environment(host)

    def aws(self, *arguments):
        endpoint = ("--endpoint-url", self.environment["AWS_ENDPOINT_URL"])
        out = self.host.sandbox.run([self.executable, *endpoint, "--output", "json", *arguments], env=self.environment).stdout
        return json.loads(out) if out.strip() else {}

    def create_namespace(self):
        return self.aws("servicediscovery", "create-private-dns-namespace", "--name", "myapp.local", "--vpc", "vpc-abc123")

    def get_operation(self, identity):
        return self.aws("servicediscovery", "get-operation", "--operation-id", identity)["Operation"]

    def create_cloud_map_service(self, namespace):
        return self.aws("servicediscovery", "create-service", "--name", "user-service", "--namespace-id", namespace,
                        "--dns-config", f"NamespaceId={namespace},RoutingPolicy=MULTIVALUE,DnsRecords=[{{Type=A,TTL=10}}]",
                        "--health-check-custom-config", "FailureThreshold=1")["Service"]

    def create_cluster(self, defaults):
        more = ("--service-connect-defaults", "namespace=myapp.local") if defaults else ()
        return self.aws("ecs", "create-cluster", "--cluster-name", "production", *more)["cluster"]

    def register_task_definition(self):
        return self.aws("ecs", "register-task-definition", "--family", "user-service",
                        "--container-definitions", json.dumps(CONTAINERS))["taskDefinition"]

    def create_ecs_service(self, registries, connect):
        more = []
        if registries:
            more += ["--service-registries", json.dumps(registries)]
        if connect:
            more += ["--service-connect-configuration", json.dumps(connect)]
        return self.aws("ecs", "create-service", "--cluster", "production", "--service-name", "user-service",
                        "--task-definition", "user-service:5", *more)["service"]

    def describe_ecs_service(self):
        return self.aws("ecs", "describe-services", "--cluster", "production", "--services", "user-service")["services"][0]

    def list_cloud_map_services(self):
        return self.aws("servicediscovery", "list-services")["Services"]

    def discover(self, name):
        return self.aws("servicediscovery", "discover-instances", "--namespace-name", "myapp.local", "--service-name",
                        name)["Instances"]

    def close(self):
        pass


class Boto3:
    def __init__(self, host, python):
        script = os.path.join(os.path.dirname(__file__), "boto3_calls.py")
        self.process = host.sandbox.popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                          env=client_environment(host))

    def call(self, service, operation, **parameters):
        self.process.stdin.write(json.dumps({"service": service, "operation": operation, "parameters": parameters}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise AssertionError(answer["message"])
        return answer["result"]

    def create_namespace(self):
        return self.call("servicediscovery", "create_private_dns_namespace", Name="myapp.local", Vpc="vpc-abc123")

    def get_operation(self, identity):
        return self.call("servicediscovery", "get_operation", OperationId=identity)["Operation"]

    def create_cloud_map_service(self, namespace):
        return self.call("servicediscovery", "create_service", Name="user-service", NamespaceId=namespace, DnsConfig={
            "NamespaceId": namespace, "RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 10}]},
            HealthCheckCustomConfig={"FailureThreshold": 1})["Service"]

    def create_cluster(self, defaults):
        more = {"serviceConnectDefaults": {"namespace": "myapp.local"}} if defaults else {}
        return self.call("ecs", "create_cluster", clusterName="production", **more)["cluster"]

    def register_task_definition(self):
        return self.call("ecs", "register_task_definition", family="user-service",
                         containerDefinitions=CONTAINERS)["taskDefinition"]

    def create_ecs_service(self, registries, connect):
        more = {}
        if registries:
            more["serviceRegistries"] = registries
        if connect:
            more["serviceConnectConfiguration"] = connect
        return self.call("ecs", "create_service", cluster="production", serviceName="user-service",
                         taskDefinition="user-service:5", **more)["service"]

    def describe_ecs_service(self):
        return self.call("ecs", "describe_services", cluster="production", services=["user-service"])["services"][0]

    def list_cloud_map_services(self):
        return self.call("servicediscovery", "list_services")["Services"]

    def discover(self, name):
        return self.call("servicediscovery", "discover_instances", NamespaceName="myapp.local", ServiceName=name)["Instances"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
