// The unmodified clients against the API over HTTP: Debian's aws, and the botocore that it brings.
#include <cstdio>
#include <fstream>
#include <optional>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "api_world.h"

namespace causeway::control::test {
namespace {

using testing::HasSubstr;

/// The API of ApiTest behind the web server, on a thread of its own and with the machine's clock.
class ApiClients : public ApiTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(::access("/usr/bin/aws", X_OK), 0) << "install Debian's awscli: tools/check does";
    // Every answer is acted on at once, as a data path would.
    controller_->on_snapshot([this](SnapshotPtr snapshot) { controller_->acknowledged(snapshot->revision); });
    server_.emplace(io_.get_executor(), make_api(*controller_, kKeys, system_clock_, "us-east-1"));
    const auto bound = server_->listen_tcp({*IpAddress::parse("127.0.0.1"), 0});
    ASSERT_TRUE(bound) << bound.error().message();
    port_ = std::to_string(bound->port);
    thread_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    boost::asio::post(io_, [this] { server_->stop(); });
    thread_.join();
  }
  /// Standard output and error of a shell command with the client's environment; `status` gets its exit status.
  std::string shell(const std::string& command, int& status, const Credentials& keys = kKeys) const {
    const std::string environment =
        "env -i PATH=/usr/bin:/bin HOME=" + directory_.path() + " AWS_ACCESS_KEY_ID=" + keys.access_key_id +
        " AWS_SECRET_ACCESS_KEY=" + keys.secret_access_key +
        " AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=1 AWS_PAGER= PORT=" + port_ +
        " ";
    FILE* output = ::popen((environment + command + " 2>&1").c_str(), "r");
    if (output == nullptr) return "popen failed";
    std::string text;
    char part[4096];
    for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, output)) > 0;) text.append(part, n);
    status = ::pclose(output);
    return text;
  }
  json::object aws(const std::string& arguments) const {
    int status = 0;
    const auto text =
        shell("/usr/bin/aws --endpoint-url http://127.0.0.1:" + port_ + " servicediscovery " + arguments, status);
    EXPECT_EQ(status, 0) << arguments << "\n" << text;
    boost::system::error_code ec;
    const auto value = json::parse(text, ec);
    return ec || !value.is_object() ? json::object() : value.as_object();
  }

  SystemClock system_clock_;
  boost::asio::io_context io_;
  std::optional<web::Server> server_;
  std::string port_;
  std::thread thread_;
};

TEST_F(ApiClients, AwsPlaysTheExample) {
  const auto created = aws("create-private-dns-namespace --name myapp.local --vpc vpc-abc123");
  ASSERT_TRUE(created.contains("OperationId"));
  const auto operation = aws("get-operation --operation-id " + str(created.at("OperationId")));
  ASSERT_EQ(operation.at("Operation").at("Status"), "SUCCESS");
  const auto space = str(operation.at("Operation").at("Targets").at("NAMESPACE"));
  const auto service =
      aws("create-service --name user-service --namespace-id " + space + " --dns-config 'NamespaceId=" + space +
          ",RoutingPolicy=MULTIVALUE,DnsRecords=[{Type=A,TTL=10}]' --health-check-custom-config FailureThreshold=1");
  ASSERT_EQ(service.at("Service").at("DnsConfig").at("DnsRecords").at(0).at("TTL"), 10);
  const auto id = str(service.at("Service").at("Id"));
  aws("register-instance --service-id " + id +
      " --instance-id i-1 --attributes AWS_INSTANCE_IPV4=10.0.0.1,AWS_INSTANCE_PORT=3000");
  EXPECT_EQ(aws("list-instances --service-id " + id).at("Instances").at(0).at("Attributes").at("AWS_INSTANCE_PORT"),
            "3000");
  EXPECT_EQ(aws("list-services").at("Services").at(0).at("InstanceCount"), 1);
}

TEST_F(ApiClients, AwsShowsWhatIsWrong) {
  int status = 0;
  const auto call = "/usr/bin/aws --endpoint-url http://127.0.0.1:" + port_ + " servicediscovery ";
  const auto missing = shell(call + "get-namespace --id ns-absent", status);
  EXPECT_NE(status, 0);
  EXPECT_THAT(missing, HasSubstr("(NamespaceNotFound) when calling the GetNamespace operation"));
  EXPECT_THAT(missing, HasSubstr("No namespace \"ns-absent\""));
  const auto foreign = shell(call + "list-namespaces", status, {"AKIAANOTHERKEYxxxxxx", "secret"});
  EXPECT_NE(status, 0);
  EXPECT_THAT(foreign, HasSubstr("(UnrecognizedClientException)"));
  EXPECT_THAT(foreign, HasSubstr("eval \"$(causeway env)\""));
}

constexpr const char* kScript = R"(
import os, socket
import awscli.botocore.session as session
# Stands for the agent's DNS, which answers data-HOST: the client dials it for DiscoverInstances.
plain = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: plain(host.replace('data-127', '127'), *rest, **more)
client = session.get_session().create_client('servicediscovery', endpoint_url='http://127.0.0.1:' + os.environ['PORT'])
operation = client.create_http_namespace(Name='shop', Tags=[{'Key': 'k', 'Value': 'caf\u00e9'}])['OperationId']
done = client.get_operation(OperationId=operation)['Operation']
assert done['Status'] == 'SUCCESS', done
space = done['Targets']['NAMESPACE']
assert client.get_namespace(Id=space)['Namespace']['CreateDate'].year == 2019  # the test's clock
try:
    client.create_http_namespace(Name='shop')
    raise SystemExit('made twice')
except client.exceptions.NamespaceAlreadyExists as e:
    assert e.response['NamespaceId'] == space, e.response
service = client.create_service(Name='cart', NamespaceId=space)['Service']['Id']
try:
    client.delete_namespace(Id=space)
    raise SystemExit('deleted though not empty')
except client.exceptions.ResourceInUse as e:
    assert e.response['ResponseMetadata']['HTTPStatusCode'] == 409
for i in range(23):
    client.register_instance(ServiceId=service, InstanceId=f'i-{i}', Attributes={'AWS_INSTANCE_IPV4': '10.0.0.1', 'n': str(i)})
pages = list(client.get_paginator('list_instances').paginate(ServiceId=service, PaginationConfig={'PageSize': 10}))
assert [len(p['Instances']) for p in pages] == [10, 10, 3], pages
found = client.discover_instances(NamespaceName='shop', ServiceName='cart', QueryParameters={'n': '7'})
assert [i['InstanceId'] for i in found['Instances']] == ['i-7'], found
for i in range(23):
    client.deregister_instance(ServiceId=service, InstanceId=f'i-{i}')
client.delete_service(Id=service)
client.delete_namespace(Id=space)
assert client.list_namespaces()['Namespaces'] == []
try:
    client.create_public_dns_namespace(Name='example.com')
    raise SystemExit('not built, yet answered')
except client.exceptions.ClientError as e:
    assert e.response['Error']['Code'] == 'UnknownOperationException', e.response
print('held')
)";

TEST_F(ApiClients, BotocoreGoesThroughAllOfIt) {
  const auto script = directory_.file("script.py");
  std::ofstream(script) << kScript;
  int status = 0;
  const auto text = shell("/usr/bin/python3 " + script, status);
  EXPECT_EQ(status, 0) << text;
  EXPECT_THAT(text, testing::EndsWith("held\n"));
}

}  // namespace
}  // namespace causeway::control::test
