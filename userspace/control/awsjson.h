#pragma once
// The AWS JSON 1.1 protocol: targets, bodies, errors.
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "control/call.h"
#include "web/server.h"

namespace causeway::control {

enum class AwsService { service_discovery, ecs };

/// What an X-Amz-Target header asks for.
struct AwsTarget {
  AwsService service;
  std::string operation;
};

/// "Route53AutoNaming_v20170314.Op" or "AmazonEC2ContainerServiceV20141113.Op"; nothing else is known.
std::optional<AwsTarget> parse_target(std::string_view header);
/// The name that a client signs for: "servicediscovery", "ecs".
std::string_view signing_name(AwsService service);

/// A body: one JSON object, at most 24 levels deep; an empty body is an empty object. The error says what is wrong.
Result<json::object> parse_body(std::string_view body);

/// The answer of an operation, or its error: `__type`, the message, and the typed exception's own members.
/// `content_type` is the request's; the answer's is the same where it is one of AWS JSON.
web::Response to_response(const ApiResult& result, std::optional<AwsService> service, std::string request_id,
                          std::string_view content_type);

}  // namespace causeway::control
