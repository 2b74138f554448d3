#include "control/awsjson.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/core.h>

namespace causeway::control {
namespace {

constexpr std::string_view kServiceDiscovery = "Route53AutoNaming_v20170314.";
constexpr std::string_view kEcs = "AmazonEC2ContainerServiceV20141113.";
constexpr std::size_t kDepth = 24;
constexpr std::size_t kOperationName = 128;

std::optional<AwsTarget> with_prefix(std::string_view header, std::string_view prefix, AwsService service) {
  if (!header.starts_with(prefix) || header.size() > prefix.size() + kOperationName) return std::nullopt;
  return AwsTarget{service, std::string(header.substr(prefix.size()))};
}

}  // namespace

std::optional<AwsTarget> parse_target(std::string_view header) {
  if (auto target = with_prefix(header, kServiceDiscovery, AwsService::service_discovery)) return target;
  return with_prefix(header, kEcs, AwsService::ecs);
}

std::string_view signing_name(AwsService service) {
  return service == AwsService::ecs ? "ecs" : "servicediscovery";
}

Result<json::object> parse_body(std::string_view body) {
  if (body.empty()) return json::object();
  json::parse_options options;
  options.max_depth = kDepth;
  json::error_code ec;
  auto value = json::parse(json::string_view(body.data(), body.size()), ec, {}, options);
  if (ec == json::error::too_deep) {
    return make_error("parse", "body", fmt::format("JSON nested deeper than {} levels", kDepth));
  }
  if (ec) return make_error("parse", "body", fmt::format("malformed JSON: {}", ec.message()));
  if (!value.is_object()) return make_error("parse", "body", "the JSON value is not an object");
  return std::move(value.get_object());
}

web::Response to_response(const ApiResult& result, std::optional<AwsService> service, std::string request_id,
                          std::string_view content_type) {
  web::Response response;
  response.content_type =
      content_type == "application/x-amz-json-1.0" ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1";
  response.headers.push_back({"x-amzn-RequestId", std::move(request_id)});
  if (!result.error) {
    response.body = json::serialize(result.body);
    return response;
  }
  const auto& error = *result.error;
  json::object body = error.members;
  body["__type"] = error.type;
  // The models spell the member as each service does; botocore reads either.
  body[service == AwsService::service_discovery ? "Message" : "message"] = error.message;
  response.status = error.status;
  response.headers.push_back({"x-amzn-ErrorType", error.type});
  response.body = json::serialize(body);
  return response;
}

}  // namespace causeway::control
