#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api_world.h"

namespace causeway::control::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class SdNamespaces : public ApiTest {
 protected:
  std::vector<std::string> listed(const std::string& input) {
    std::vector<std::string> names;
    const auto answer = ok("ListNamespaces", input);
    for (const auto& item : answer.at("Namespaces").as_array()) names.push_back(str(item.at("Name")));
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST_F(SdNamespaces, AreMadeAndShown) {
  const auto operation = str(ok("CreatePrivateDnsNamespace",
                                "{'Name':'myapp.local','Vpc':'vpc-abc123','Description':'d','CreatorRequestId':'c-1',"
                                "'Properties':{'DnsProperties':{'SOA':{'TTL':60}}},'Tags':[{'Key':'k','Value':'v'}]}")
                                 .at("OperationId"));
  EXPECT_EQ(status_of(operation), "PENDING");
  controller_->acknowledged(controller_->snapshot()->revision);
  const auto done = ok("GetOperation", "{'OperationId':'" + operation + "'}").at("Operation").as_object();
  EXPECT_EQ(done.at("Status"), "SUCCESS");
  EXPECT_EQ(done.at("Type"), "CREATE_NAMESPACE");
  const auto id = str(done.at("Targets").at("NAMESPACE"));
  EXPECT_THAT(id, testing::MatchesRegex("ns-[a-z0-9]{16}"));
  const auto got = ok("GetNamespace", "{'Id':'" + id + "'}").at("Namespace").as_object();
  EXPECT_EQ(str(got.at("Arn")), "arn:aws:servicediscovery:us-east-1:000000000000:namespace/" + id);
  EXPECT_EQ(got.at("Name"), "myapp.local");
  EXPECT_EQ(got.at("Type"), "DNS_PRIVATE");
  EXPECT_EQ(got.at("Description"), "d");
  EXPECT_EQ(got.at("ServiceCount"), 0);
  EXPECT_EQ(got.at("CreatorRequestId"), "c-1");
  EXPECT_EQ(got.at("Properties").at("DnsProperties").at("SOA").at("TTL"), 60);
  EXPECT_EQ(got.at("Properties").at("HttpProperties").at("HttpName"), "myapp.local");
  EXPECT_TRUE(got.at("CreateDate").is_double());
  EXPECT_EQ(str(ok("GetNamespace", "{'Id':'" + str(got.at("Arn")) + "'}").at("Namespace").at("Id")), id);
}

TEST_F(SdNamespaces, NamesAreGivenOnceInAnyCase) {
  const auto first = ok("CreateHttpNamespace", "{'Name':'Shop','CreatorRequestId':'one'}");
  const auto answer = call("CreatePrivateDnsNamespace", "{'Name':'shop','Vpc':'v','CreatorRequestId':'two'}");
  EXPECT_EQ(answer.status, 400u);
  EXPECT_EQ(answer.type(), "NamespaceAlreadyExists");
  EXPECT_THAT(str(answer.body.at("NamespaceId")), StartsWith("ns-"));
  EXPECT_EQ(answer.body.at("CreatorRequestId"), "one");
  EXPECT_EQ(ok("CreateHttpNamespace", "{'Name':'Shop','CreatorRequestId':'one'}"), first) << "a request sent twice";
  EXPECT_EQ(store_->revision(), Revision(1));
}

TEST_F(SdNamespaces, BadInputIsNamed) {
  const std::string long_label(64, 'a');
  const std::pair<std::string, const char*> cases[] = {
      {"{}", "Name is required and missing"},
      {"{'Name':7,'Vpc':'v'}", "Name must be a string, got 7"},
      {"{'Name':null,'Vpc':'v'}", "Name is required and missing"},
      {"{'Name':'a b','Vpc':'v'}", "Name must be a DNS name"},
      {"{'Name':'a..b','Vpc':'v'}", "Name must be a DNS name"},
      {"{'Name':'-a','Vpc':'v'}", "Name must be a DNS name"},
      {"{'Name':'" + long_label + "','Vpc':'v'}", "Name must be a DNS name"},
      {"{'Name':'" + std::string(254, 'a') + "','Vpc':'v'}", "Name must have 1 to 253 characters, has 254"},
      {"{'Name':'a'}", "Vpc is required and missing"},
      {"{'Name':'a','Vpc':'v','Tags':[{'Key':'k'}]}", "Tags[0].Value is required and missing"},
      {"{'Name':'a','Vpc':'v','Tags':{'Key':'k'}}", "Tags must be a list"},
      {"{'Name':'a','Vpc':'v','Tags':[{'Key':'aws:x','Value':''}]}", "aws:"},
      {"{'Name':'a','Vpc':'v','Properties':{'DnsProperties':{'SOA':{'TTL':-1}}}}",
       "Properties.DnsProperties.SOA.TTL must be an integer from 0 to 2147483647, got -1"},
      {"{'Name':'a','Vpc':'v','Properties':{'DnsProperties':{'SOA':{'TTL':1.5}}}}", "must be an integer, got 1.5E0"},
      {"{'Name':'a','Vpc':'v','Properties':{'DnsProperties':{'SOA':{'TTL':18446744073709551615}}}}",
       "must be an integer from 0"},
  };
  for (const auto& [input, expected] : cases) {
    EXPECT_THAT(refused("CreatePrivateDnsNamespace", input),
                AllOf(StartsWith("400 InvalidInput: "), HasSubstr(expected)))
        << input;
  }
  EXPECT_THAT(refused("CreateHttpNamespace", "{'Name':'arn:x'}"), HasSubstr("does not start with arn:"));
}

TEST_F(SdNamespaces, AreListedByFilterAndPage) {
  for (const char* name : {"app.one", "app.two", "other"}) make_namespace(name);
  make_namespace("app.http", false);
  EXPECT_THAT(listed("{}"), testing::ElementsAre("app.http", "app.one", "app.two", "other"));
  EXPECT_THAT(listed("{'Filters':[{'Name':'TYPE','Values':['HTTP'],'Condition':'EQ'}]}"),
              testing::ElementsAre("app.http"));
  EXPECT_THAT(listed("{'Filters':[{'Name':'NAME','Values':['other']}]}"), testing::ElementsAre("other"));
  EXPECT_THAT(listed("{'Filters':[{'Name':'NAME','Values':['app.'],'Condition':'BEGINS_WITH'},{'Name':'TYPE','Values':["
                     "'DNS_PRIVATE']}]}"),
              testing::ElementsAre("app.one", "app.two"));
  EXPECT_THAT(listed("{'Filters':[{'Name':'HTTP_NAME','Values':['app.o'],'Condition':'BEGINS_WITH'}]}"),
              testing::ElementsAre("app.one"));
  EXPECT_THAT(refused("ListNamespaces", "{'Filters':[{'Name':'COLOUR','Values':['x']}]}"),
              HasSubstr("Name must be one of TYPE, NAME"));
  EXPECT_THAT(refused("ListNamespaces", "{'Filters':[{'Name':'NAME','Values':['x'],'Condition':'IN'}]}"),
              HasSubstr("does not go with"));
  EXPECT_THAT(refused("ListNamespaces", "{'Filters':[{'Name':'NAME','Values':['x','y']}]}"),
              HasSubstr("takes one value, got 2"));
  EXPECT_THAT(refused("ListNamespaces", "{'Filters':[{'Name':'NAME','Values':['x'],'Condition':'LIKE'}]}"),
              HasSubstr("one of EQ, IN"));

  std::set<std::string> seen;
  std::string token;
  int pages = 0;
  do {
    const auto page =
        ok("ListNamespaces", "{'MaxResults':3" + (token.empty() ? "" : ",'NextToken':'" + token + "'") + "}");
    for (const auto& item : page.at("Namespaces").as_array()) EXPECT_TRUE(seen.insert(str(item.at("Name"))).second);
    token = page.contains("NextToken") ? str(page.at("NextToken")) : "";
    ++pages;
  } while (!token.empty() && pages < 10);
  EXPECT_EQ(seen.size(), 4u);
  EXPECT_EQ(pages, 2);
  EXPECT_FALSE(ok("ListNamespaces", "{'MaxResults':4}").contains("NextToken")) << "nothing follows";
  for (const char* bad : {"x", "k-", "k-6", "k-zz"}) {
    EXPECT_THAT(refused("ListNamespaces", std::string("{'NextToken':'") + bad + "'}"),
                HasSubstr("NextToken is not one"))
        << bad;
  }
  EXPECT_THAT(refused("ListNamespaces", "{'MaxResults':0}"),
              HasSubstr("MaxResults must be an integer from 1 to 100, got 0"));
  EXPECT_THAT(refused("ListNamespaces", "{'MaxResults':101}"), HasSubstr("got 101"));
  EXPECT_THAT(refused("ListNamespaces", "{'MaxResults':'ten'}"),
              HasSubstr("MaxResults must be an integer, got \"ten\""));
}

TEST_F(SdNamespaces, AreDeletedWhenEmpty) {
  const auto id = make_namespace("myapp.local");
  const auto service = make_service(id, "web");
  EXPECT_THAT(refused("DeleteNamespace", "{'Id':'" + id + "'}"),
              AllOf(StartsWith("409 ResourceInUse: "), HasSubstr("service \"web\"")));
  EXPECT_EQ(ok("GetNamespace", "{'Id':'" + id + "'}").at("Namespace").at("ServiceCount"), 1);
  ok("DeleteService", "{'Id':'" + service + "'}");
  const auto operation = str(ok("DeleteNamespace", "{'Id':'" + id + "'}").at("OperationId"));
  EXPECT_THAT(refused("GetNamespace", "{'Id':'" + id + "'}"), StartsWith("404 NamespaceNotFound: "));
  EXPECT_THAT(refused("DeleteNamespace", "{'Id':'ns-absent'}"), StartsWith("404 NamespaceNotFound: "));
  controller_->acknowledged(controller_->snapshot()->revision);
  EXPECT_EQ(status_of(operation), "SUCCESS");
  make_namespace("myapp.local");
}

TEST_F(SdNamespaces, OperationsAreListed) {
  const auto id = make_namespace("a");
  controller_->acknowledged(controller_->snapshot()->revision);
  const auto service = make_service(id, "web", a_records());
  controller_->acknowledged(controller_->snapshot()->revision);
  const auto registered = register_instance(service, "i-1", "{'AWS_INSTANCE_IPV4':'10.0.0.1'}");
  const auto ids = [&](const std::string& filters) {
    std::vector<std::string> out;
    const auto answer = ok("ListOperations", "{'Filters':[" + filters + "]}");
    for (const auto& item : answer.at("Operations").as_array()) out.push_back(str(item.at("Status")));
    return out;
  };
  EXPECT_THAT(ids(""), testing::UnorderedElementsAre("SUCCESS", "PENDING"));
  EXPECT_THAT(ids("{'Name':'STATUS','Values':['SUCCESS','FAIL'],'Condition':'IN'}"), testing::ElementsAre("SUCCESS"));
  EXPECT_THAT(ids("{'Name':'TYPE','Values':['REGISTER_INSTANCE']}"), testing::ElementsAre("PENDING"));
  EXPECT_THAT(ids("{'Name':'NAMESPACE_ID','Values':['" + id + "']}"), testing::ElementsAre("SUCCESS"));
  EXPECT_THAT(ids("{'Name':'SERVICE_ID','Values':['" + service + "']}"), testing::ElementsAre("PENDING"));
  const auto now =
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(clock_.wall().time_since_epoch()).count());
  EXPECT_EQ(ids("{'Name':'UPDATE_DATE','Condition':'BETWEEN','Values':['0','" + now + "']}").size(), 2u);
  EXPECT_EQ(ids("{'Name':'UPDATE_DATE','Condition':'BETWEEN','Values':['0','1']}").size(), 0u);
  EXPECT_THAT(
      refused("ListOperations", "{'Filters':[{'Name':'UPDATE_DATE','Condition':'BETWEEN','Values':['a','b']}]}"),
      HasSubstr("two times"));
  EXPECT_THAT(refused("GetOperation", "{'OperationId':'absent'}"), StartsWith("404 OperationNotFound: "));
}

TEST_F(SdNamespaces, SurviveARestart) {
  const auto id = make_namespace("myapp.local");
  restart();
  EXPECT_EQ(ok("GetNamespace", "{'Id':'" + id + "'}").at("Namespace").at("Name"), "myapp.local");
  EXPECT_EQ(call("CreateHttpNamespace", "{'Name':'myapp.local'}").type(), "NamespaceAlreadyExists");
}

}  // namespace
}  // namespace causeway::control::test
