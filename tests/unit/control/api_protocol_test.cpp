// The protocol around the operations: targets, bodies, errors, key pair.
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "api_world.h"

namespace causeway::control::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ApiProtocol : public ApiTest {
 protected:
  Answer signed_call(const std::string& target, const std::string& body, const std::string& service) {
    auto made = request(target, body);
    sign(made, kKeys, clock_.wall(), service);
    return send(made);
  }
};

TEST_F(ApiProtocol, AnswersAwsJson) {
  const auto answer = call("ListNamespaces", "{}");
  EXPECT_EQ(answer.raw.content_type, "application/x-amz-json-1.1");
  ASSERT_FALSE(answer.raw.headers.empty());
  EXPECT_EQ(answer.raw.headers.at(0).name, "x-amzn-RequestId");
  EXPECT_THAT(answer.raw.headers.at(0).value,
              testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
  EXPECT_EQ(answer.raw.body, R"({"Namespaces":[]})");
  EXPECT_NE(call("ListNamespaces", "{}").raw.headers.at(0).value, answer.raw.headers.at(0).value);
}

TEST_F(ApiProtocol, AnswersAnyHost) {
  for (const char* host : {"data-127.0.0.1:7070", "data-agent.example", "localhost"}) {
    auto made = request(std::string(kSdTarget) + "ListNamespaces", "{}");
    made.headers.at(0).value = host;
    sign(made, kKeys, clock_.wall(), "servicediscovery");
    EXPECT_EQ(send(made).status, 200u) << host;
  }
}

TEST_F(ApiProtocol, RefusesUnknownOperations) {
  for (const char* target : {"Route53AutoNaming_v20170314.CreatePublicDnsNamespace", "Route53AutoNaming_v20170314.",
                             "Route53AutoNaming_v20170314.create_service", "DynamoDB_20120810.ListTables", ""}) {
    const auto answer = signed_call(target, "{}", "servicediscovery");
    EXPECT_EQ(answer.status, 400u) << target;
    EXPECT_EQ(answer.type(), "UnknownOperationException") << target;
  }
  const auto ecs = signed_call("AmazonEC2ContainerServiceV20141113.RunTask", "{}", "ecs");
  EXPECT_EQ(ecs.type(), "UnknownOperationException");
  EXPECT_THAT(std::string(ecs.body.at("message").as_string()), HasSubstr("ecs RunTask is not built in Causeway"));
}

TEST_F(ApiProtocol, RefusesHostileJson) {
  const std::string bodies[] = {"{",
                                "nonsense",
                                "[]",
                                "\"x\"",
                                "{\"a\":1}}",
                                "{\"a\":\"\xff\xfe\"}",
                                "{\"Name\":\"a\",}",
                                std::string(200000, '['),
                                std::string("{\"a\":\0}", 7),
                                "{\"a\":1e}"};
  for (const auto& body : bodies) {
    const auto answer = call_raw("CreateHttpNamespace", body);
    EXPECT_EQ(answer.status, 400u) << body.substr(0, 40);
    EXPECT_EQ(answer.type(), "SerializationException") << body.substr(0, 40);
  }
  std::string deep = "{\"Name\":";
  for (int i = 0; i < 30; ++i) deep += "{\"a\":";
  EXPECT_THAT(call_raw("CreateHttpNamespace", deep + "1" + std::string(31, '}')).message(),
              HasSubstr("deeper than 24 levels"));
  EXPECT_EQ(call_raw("ListNamespaces", "").status, 200u);
  EXPECT_EQ(store_->revision(), Revision(0));
}

TEST_F(ApiProtocol, IgnoresUnknownMembersAndNulls) {
  const auto answer =
      call("CreateHttpNamespace", "{'Name':'a','Colour':{'deep':[1,2]},'Description':null,'Tags':null}");
  EXPECT_EQ(answer.status, 200u) << answer.raw.body;
}

TEST_F(ApiProtocol, TellsBrowsersAndProbesWhatThisIs) {
  web::Request get;
  get.method = "GET";
  get.target = "/";
  EXPECT_EQ(send(get).status, 405u);
  EXPECT_THAT(send(get).raw.body, HasSubstr("eval \"$(causeway env)\""));
  get.target = "/service/Route53AutoNaming_v20170314/operation/ListServices";
  get.method = "POST";
  EXPECT_EQ(send(get).status, 404u);
}

class KeyPair : public testing::Test {
 protected:
  std::string failure() {
    const auto loaded = load_or_create_credentials(path_);
    return loaded ? "loaded" : loaded.error().message();
  }
  void write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_, std::ios::trunc) << text;
    ::chmod(path_.c_str(), mode);
  }
  causeway::test::TemporaryDirectory directory_;
  std::string path_ = directory_.file("credentials.json");
};

TEST_F(KeyPair, IsMadeOnceForTheOwnerAlone) {
  const auto made = load_or_create_credentials(path_);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_THAT(made->access_key_id, testing::MatchesRegex("AKIA[A-Z2-7]{16}"));
  EXPECT_THAT(made->secret_access_key, testing::MatchesRegex("[A-Za-z0-9+/]{40}"));
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  const auto again = load_or_create_credentials(path_);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->access_key_id, made->access_key_id);
  EXPECT_EQ(again->secret_access_key, made->secret_access_key);
  ::unlink(path_.c_str());
  EXPECT_NE(load_or_create_credentials(path_)->secret_access_key, made->secret_access_key);
}

TEST_F(KeyPair, RefusesWhatOthersCouldRead) {
  ASSERT_TRUE(load_or_create_credentials(path_));
  for (const mode_t mode : {0640, 0604, 0620, 0666}) {
    ::chmod(path_.c_str(), mode);
    EXPECT_THAT(failure(), AllOf(HasSubstr("others may have read it"), HasSubstr("chmod 600"), HasSubstr(path_)));
  }
  ::chmod(path_.c_str(), 0600);
  EXPECT_EQ(failure(), "loaded");
}

TEST_F(KeyPair, RefusesWhatIsBroken) {
  for (const char* text : {"", "{", "[]", "{}", R"({"AccessKeyId":"AKIAAAAAAAAAAAAAAAAA"})",
                           R"({"AccessKeyId":7,"SecretAccessKey":[]})"}) {
    write(text);
    EXPECT_THAT(failure(), AllOf(HasSubstr("restore it, or remove it"), HasSubstr(path_))) << text;
  }
  ::unlink(path_.c_str());
  ASSERT_EQ(::symlink("/etc/passwd", path_.c_str()), 0);
  EXPECT_THAT(failure(), HasSubstr("symbolic links"));
  path_ = directory_.file("absent/credentials.json");
  EXPECT_THAT(failure(), HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace causeway::control::test
