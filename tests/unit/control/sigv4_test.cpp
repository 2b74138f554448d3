// Signature Version 4 against AWS's published test suite and against botocore's signer as Debian ships it.
#include "control/sigv4.h"

#include <cstdio>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api_world.h"

namespace causeway::control::test {
namespace {

using testing::HasSubstr;

const Credentials kExample{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};

WallTime example_time() {
  return std::chrono::system_clock::from_time_t(1440938160);
}  // 20150830T123600Z

struct Published {
  const char* name;
  const char* method;
  const char* target;
  std::vector<web::Header> headers;
  const char* body;
  const char* service;
  const char* expected;
};

TEST(Sigv4, MatchesThePublishedExamples) {
  const web::Header host{"Host", "example.amazonaws.com"};
  const web::Header date{"X-Amz-Date", "20150830T123600Z"};
  const Published cases[] = {
      {"get-vanilla",
       "GET",
       "/",
       {host, date},
       "",
       "service",
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-vanilla-query-order-key-case",
       "GET",
       "/?Param2=value2&Param1=value1",
       {host, date},
       "",
       "service",
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-utf8-query",
       "GET",
       "/?\xe1\x88\xb4=bar",
       {host, date},
       "",
       "service",
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"get-utf8",
       "GET",
       "/\xe1\x88\xb4",
       {host, date},
       "",
       "service",
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-header-key-duplicate",
       "GET",
       "/",
       {host, {"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}, date},
       "",
       "service",
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-trim",
       "GET",
       "/",
       {host, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}, date},
       "",
       "service",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"post-vanilla",
       "POST",
       "/",
       {host, date},
       "",
       "service",
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"post-x-www-form-urlencoded",
       "POST",
       "/",
       {{"Content-Type", "application/x-www-form-urlencoded"}, host, date},
       "Param1=value1",
       "service",
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
      {"IAM user guide",
       "GET",
       "/?Action=ListUsers&Version=2010-05-08",
       {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}, {"Host", "iam.amazonaws.com"}, date},
       "",
       "iam",
       "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
  };
  for (const auto& example : cases) {
    web::Request request;
    request.method = example.method;
    request.target = example.target;
    request.headers = example.headers;
    request.body = example.body;
    std::set<std::string> names;
    std::string joined;
    for (const auto& header : example.headers) {
      std::string name = header.name;
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      names.insert(name);
    }
    for (const auto& name : names) joined += (joined.empty() ? "" : ";") + name;
    const CredentialScope scope{"AKIDEXAMPLE", "20150830", "us-east-1", example.service};
    const auto canonical = canonical_request(request, {names.begin(), names.end()});
    EXPECT_EQ(signature(kExample.secret_access_key, scope, "20150830T123600Z", canonical), example.expected)
        << example.name << "\n"
        << canonical;
    request.headers.push_back({"Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" + scope.text() +
                                                    ", SignedHeaders=" + joined + ", Signature=" + example.expected});
    CredentialScope found;
    EXPECT_FALSE(verify_signature(request, kExample, example_time(), found)) << example.name;
    EXPECT_EQ(found.service, example.service);
  }
}

constexpr const char* kBotocore = R"(
import json
import awscli.botocore.session  # before auth, which it imports in turn
from awscli.botocore.auth import SigV4Auth
from awscli.botocore.awsrequest import AWSRequest
from awscli.botocore.credentials import Credentials
bodies = ['{}', '', '{"Name":"caf\u00e9 \u2615"}', 'x' * 100000]
for token in (None, 'a/session+token=='):
    for service, region in (('servicediscovery', 'us-east-1'), ('ecs', 'eu-west-3')):
        for body in bodies:
            for host in ('127.0.0.1:7070', 'data-127.0.0.1:7070'):
                request = AWSRequest('POST', 'http://' + host + '/', data=body.encode(), headers={
                    'X-Amz-Target': 'Any.Op', 'Content-Type': 'application/x-amz-json-1.1', 'X-Spaces': '  a   b  '})
                SigV4Auth(Credentials('AKIDEXAMPLE', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', token), service, region).add_auth(request)
                print(json.dumps({'host': host, 'body': body, 'headers': dict(request.headers.items())}))
)";

TEST(Sigv4, AcceptsWhatBotocoreSigns) {
  setenv("CAUSEWAY_TEST_SCRIPT", kBotocore, 1);
  FILE* output = ::popen("/usr/bin/python3 -c \"$CAUSEWAY_TEST_SCRIPT\"", "r");
  ASSERT_NE(output, nullptr);
  std::string text;
  char part[4096];
  for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, output)) > 0;) text.append(part, n);
  ASSERT_EQ(::pclose(output), 0) << "Debian's awscli package is needed (it brings botocore)";
  int verified = 0;
  std::size_t at = 0;
  for (std::size_t end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    const auto line = json::parse(text.substr(at, end - at)).as_object();
    web::Request request;
    request.method = "POST";
    request.target = "/";
    request.body = std::string(line.at("body").as_string());
    request.headers.push_back({"Host", std::string(line.at("host").as_string())});
    for (const auto& [name, value] : line.at("headers").as_object()) {
      request.headers.push_back({std::string(name), std::string(value.as_string())});
    }
    CredentialScope scope;
    const auto now = std::chrono::system_clock::now();
    const auto refused = verify_signature(request, kExample, now, scope);
    EXPECT_FALSE(refused) << (refused ? refused->message : "") << "\n" << line;
    // The same with one byte changed.
    auto changed = request;
    changed.body += " ";
    EXPECT_TRUE(verify_signature(changed, kExample, now, scope));
    ++verified;
  }
  EXPECT_EQ(verified, 32);
}

class Sigv4Errors : public ApiTest {
 protected:
  web::Request signed_request(const Credentials& keys = kKeys) {
    auto made = request(std::string(kSdTarget) + "ListNamespaces", "{}");
    sign(made, keys, clock_.wall(), "servicediscovery");
    return made;
  }
  static web::Header& header(web::Request& request, const std::string& name) {
    for (auto& header : request.headers) {
      if (header.name == name) return header;
    }
    std::abort();
  }
  std::string answer(const web::Request& made) {
    const auto got = send(made);
    return std::to_string(got.status) + " " + got.type() + ": " + got.message();
  }
};

TEST_F(Sigv4Errors, TellWhatToDo) {
  EXPECT_EQ(send(signed_request()).status, 200u);
  EXPECT_THAT(
      answer(request(std::string(kSdTarget) + "ListNamespaces", "{}")),
      testing::AllOf(HasSubstr("403 MissingAuthenticationTokenException"), HasSubstr("eval \"$(causeway env)\"")));
  EXPECT_THAT(answer(signed_request({"AKIAANOTHERKEYxxxxxx", kKeys.secret_access_key})),
              testing::AllOf(HasSubstr("403 UnrecognizedClientException"), HasSubstr("AKIAANOTHERKEYxxxxxx"),
                             HasSubstr("eval \"$(causeway env)\"")));
  EXPECT_THAT(answer(signed_request({kKeys.access_key_id, "another secret key"})),
              HasSubstr("403 InvalidSignatureException"));

  auto body = signed_request();
  body.body = "{\"MaxResults\":1}";
  EXPECT_THAT(answer(body), HasSubstr("InvalidSignatureException"));
  auto target = signed_request();
  header(target, "X-Amz-Target").value = std::string(kSdTarget) + "DeleteNamespace";
  EXPECT_THAT(answer(target), HasSubstr("InvalidSignatureException"));
  auto added = signed_request();
  added.headers.push_back({"X-Amz-Security-Token", "t"});
  EXPECT_THAT(answer(added), HasSubstr("x-amz-security-token is not among SignedHeaders"));
  auto cut = signed_request();
  header(cut, "Authorization").value.pop_back();
  EXPECT_THAT(answer(cut), HasSubstr("InvalidSignatureException"));

  auto hash = request(std::string(kSdTarget) + "ListNamespaces", "{}");
  hash.headers.push_back({"X-Amz-Content-Sha256", sha256_hex("other")});
  sign(hash, kKeys, clock_.wall(), "servicediscovery");
  EXPECT_THAT(answer(hash), HasSubstr("not the SHA-256 of the body"));

  auto service = request(std::string(kSdTarget) + "ListNamespaces", "{}");
  sign(service, kKeys, clock_.wall(), "ecs");
  EXPECT_THAT(answer(service), HasSubstr("scoped to correct service: \"servicediscovery\", got \"ecs\""));
}

TEST_F(Sigv4Errors, TheClockMayBeFifteenMinutesOff) {
  const auto made = signed_request();
  clock_.advance(std::chrono::minutes(15));
  EXPECT_EQ(send(made).status, 200u);
  clock_.advance(std::chrono::seconds(1));
  EXPECT_THAT(answer(made), HasSubstr("901 s behind this host's clock"));
  auto ahead = request(std::string(kSdTarget) + "ListNamespaces", "{}");
  sign(ahead, kKeys, clock_.wall() + std::chrono::minutes(16), "servicediscovery");
  EXPECT_THAT(answer(ahead), HasSubstr("960 s ahead of this host's clock"));
}

TEST_F(Sigv4Errors, MalformedHeadersAreRefused) {
  for (const char* value :
       {"Basic abc", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0", "AWS4-HMAC-SHA256 ,,,=,;",
        "AWS4-HMAC-SHA256 Credential=a/20200101/c/d/aws4_request, SignedHeaders=, Signature="}) {
    auto made = request(std::string(kSdTarget) + "ListNamespaces", "{}");
    made.headers.push_back({"Authorization", value});
    EXPECT_THAT(answer(made), HasSubstr("403 IncompleteSignatureException")) << value;
  }
  for (const char* date : {"", "yesterday", "20191220T000000", "99999999T999999Z"}) {
    auto made = signed_request();
    header(made, "X-Amz-Date").value = date;
    EXPECT_THAT(answer(made), HasSubstr("YYYYMMDDTHHMMSSZ")) << date;
  }
}

}  // namespace
}  // namespace causeway::control::test
