#pragma once
// The API as a client meets it: signed requests into the handler, on a real store in a directory of its own.
#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>
#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "../store/temporary_directory.h"
#include "control/api.h"
#include "control/sigv4.h"
#include "store/sqlite_store.h"

namespace causeway::control::test {

inline const Credentials kKeys{"AKIACAUSEWAYTESTKEYS", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx"};
inline constexpr const char* kSdTarget = "Route53AutoNaming_v20170314.";

/// JSON with ' for ".
inline std::string quoted(std::string text) {
  std::replace(text.begin(), text.end(), '\'', '"');
  return text;
}

inline std::string amz_date(WallTime at) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  std::tm fields{};
  ::gmtime_r(&seconds, &fields);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &fields);
  return text;
}

/// Signs everything that the request has; adds X-Amz-Date.
inline void sign(web::Request& request, const Credentials& keys, WallTime at, const std::string& service,
                 const std::string& region = "us-east-1") {
  const auto time = amz_date(at);
  request.headers.push_back({"X-Amz-Date", time});
  std::vector<std::string> names;
  for (const auto& header : request.headers) {
    std::string name = header.name;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  const CredentialScope scope{keys.access_key_id, time.substr(0, 8), region, service};
  std::string joined;
  for (const auto& name : names) joined += (joined.empty() ? "" : ";") + name;
  request.headers.push_back(
      {"Authorization",
       "AWS4-HMAC-SHA256 Credential=" + keys.access_key_id + "/" + scope.text() + ", SignedHeaders=" + joined +
           ", Signature=" + signature(keys.secret_access_key, scope, time, canonical_request(request, names))});
}

struct Answer {
  unsigned status = 0;
  json::object body;
  web::Response raw;
  std::string type() const { return body.contains("__type") ? std::string(body.at("__type").as_string()) : ""; }
  std::string message() const {
    for (const char* name : {"Message", "message"}) {
      if (const auto* found = body.if_contains(name)) return std::string(found->as_string());
    }
    return "";
  }
};

class ApiTest : public testing::Test {
 protected:
  ApiTest() {
    settings_.alias_v4 = *IpPrefix::parse("127.255.0.0/16");
    settings_.alias_v6 = *IpPrefix::parse("100::/64");
    settings_.task_v4 = *IpPrefix::parse("127.254.0.0/16");
    restart();
  }

  /// As the agent would after its end: everything from the file.
  void restart() {
    api_ = nullptr;
    controller_.reset();
    store_.reset();
    auto opened = store::SqliteStore::open(directory_.file("causeway.db"));
    ASSERT_TRUE(opened) << opened.error().message();
    store_ = std::move(*opened);
    controller_ = std::make_unique<Controller>(*store_, settings_, clock_, random_);
    const auto started = controller_->start();
    ASSERT_TRUE(started) << started.error().message();
    api_ = make_api(*controller_, kKeys, clock_, settings_.region);
  }

  web::Request request(const std::string& target, std::string body) const {
    web::Request request;
    request.method = "POST";
    request.target = "/";
    request.headers = {
        {"Host", "127.0.0.1:7070"}, {"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", target}};
    request.body = std::move(body);
    return request;
  }
  Answer send(const web::Request& request) {
    Answer answer;
    api_(request, [&](web::Response response) { answer.raw = std::move(response); });
    answer.status = answer.raw.status;
    boost::system::error_code ec;
    const auto value = json::parse(answer.raw.body, ec);
    if (!ec && value.is_object()) answer.body = value.as_object();
    return answer;
  }
  Answer call_raw(const std::string& operation, const std::string& body) {
    auto made = request(kSdTarget + operation, body);
    sign(made, kKeys, clock_.wall(), "servicediscovery");
    return send(made);
  }
  Answer call(const std::string& operation, const std::string& input) { return call_raw(operation, quoted(input)); }
  json::object ok(const std::string& operation, const std::string& input) {
    auto answer = call(operation, input);
    EXPECT_EQ(answer.status, 200u) << operation << " " << input << ": " << answer.raw.body;
    return answer.body;
  }
  /// "STATUS TYPE: MESSAGE" of what must be refused without a trace.
  std::string refused(const std::string& operation, const std::string& input) {
    const auto before = store_->revision();
    const auto answer = call(operation, input);
    EXPECT_EQ(store_->revision(), before) << operation << " " << input;
    EXPECT_NE(answer.status, 200u) << operation << " " << input << ": " << answer.raw.body;
    return std::to_string(answer.status) + " " + answer.type() + ": " + answer.message();
  }
  static std::string str(const json::value& value) { return std::string(value.as_string()); }

  std::string make_namespace(const std::string& name, bool dns = true) {
    const auto input = "{'Name':'" + name + "'" + (dns ? ",'Vpc':'vpc-1'}" : "}");
    const auto operation = ok(dns ? "CreatePrivateDnsNamespace" : "CreateHttpNamespace", input);
    const auto got = ok("GetOperation", "{'OperationId':'" + str(operation.at("OperationId")) + "'}");
    return str(got.at("Operation").at("Targets").at("NAMESPACE"));
  }
  std::string make_service(const std::string& space, const std::string& name, const std::string& more = "") {
    const auto made = ok("CreateService", "{'Name':'" + name + "','NamespaceId':'" + space + "'" + more + "}");
    return str(made.at("Service").at("Id"));
  }
  static std::string a_records() { return ",'DnsConfig':{'DnsRecords':[{'Type':'A','TTL':10}]}"; }
  std::string register_instance(const std::string& service, const std::string& id, const std::string& attributes) {
    const auto done = ok("RegisterInstance",
                         "{'ServiceId':'" + service + "','InstanceId':'" + id + "','Attributes':" + attributes + "}");
    return str(done.at("OperationId"));
  }
  std::string status_of(const std::string& operation_id) {
    return str(ok("GetOperation", "{'OperationId':'" + operation_id + "'}").at("Operation").at("Status"));
  }

  causeway::test::TemporaryDirectory directory_;
  Settings settings_;
  ManualClock clock_;
  FastRandom random_{7};
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<Controller> controller_;
  web::Handler api_;
};

}  // namespace causeway::control::test
