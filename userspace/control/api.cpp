#include "control/api.h"

#include <memory>

#include <fmt/core.h>

#include "base/log.h"
#include "control/awsjson.h"
#include "control/sigv4.h"

namespace causeway::control {
namespace {

class Api {
 public:
  Api(Controller& controller, Credentials credentials, const Clock& clock, std::string region)
      : controller_(controller), credentials_(std::move(credentials)), clock_(clock), region_(std::move(region)) {}

  web::Response answer(const web::Request& request) {
    const auto id = request_id();
    if (request.method != "POST" || request.path() != "/") return not_an_operation(request);
    const auto target = parse_target(request.header("x-amz-target"));
    const auto service = target ? std::optional(target->service) : std::nullopt;
    const auto result = run(request, target);
    if (result.error) {
      log::debug("{} {} {}: {}", id, request.header("x-amz-target"), result.error->type, result.error->message);
    }
    return to_response(result, service, id, request.header("content-type"));
  }

 private:
  ApiResult run(const web::Request& request, const std::optional<AwsTarget>& target) {
    // Before anything else is told: whoever has no key learns nothing but how to get it.
    CredentialScope scope;
    if (auto refused = verify_signature(request, credentials_, clock_.wall(), scope)) return {{}, std::move(refused)};
    if (!target) {
      return fail(
          400, "UnknownOperationException",
          fmt::format("X-Amz-Target \"{}\" is not an operation of servicediscovery (Route53AutoNaming_v20170314) or "
                      "ecs (AmazonEC2ContainerServiceV20141113), which are the services that Causeway answers",
                      request.header("x-amz-target").substr(0, 128)));
    }
    if (scope.service != signing_name(target->service)) {
      return fail(403, "InvalidSignatureException",
                  fmt::format("Credential should be scoped to correct service: \"{}\", got \"{}\"",
                              signing_name(target->service), scope.service));
    }
    const auto& operations = target->service == AwsService::ecs ? ecs_ : service_discovery_;
    const auto found = operations.find(target->operation);
    if (found == operations.end()) {
      return fail(400, "UnknownOperationException",
                  fmt::format("{} {} is not built in Causeway", signing_name(target->service), target->operation));
    }
    const auto input = parse_body(request.body);
    if (!input) return fail(400, "SerializationException", input.error().cause);
    return controller_.run(found->second, *input);
  }

  web::Response not_an_operation(const web::Request& request) const {
    web::Response response;
    response.status = request.path() == "/" ? 405 : 404;
    if (response.status == 405) response.headers.push_back({"Allow", "POST"});
    response.body = fmt::format(
        "This is Causeway's AWS API (servicediscovery and ecs, JSON 1.1, region {}); it answers POST /. Set a client "
        "up "
        "with: eval \"$(causeway env)\"\nand try: aws servicediscovery list-namespaces\n",
        region_);
    return response;
  }

  std::string request_id() {
    return fmt::format("{}-{}-{}-{}-{}", random_.hex(8), random_.hex(4), random_.hex(4), random_.hex(4),
                       random_.hex(12));
  }

  Controller& controller_;
  Credentials credentials_;
  const Clock& clock_;
  std::string region_;
  FastRandom random_;
  Operations service_discovery_ = service_discovery_operations();
  Operations ecs_ = ecs_operations();
};

}  // namespace

web::Handler make_api(Controller& controller, Credentials credentials, const Clock& clock, std::string region) {
  auto api = std::make_shared<Api>(controller, std::move(credentials), clock, std::move(region));
  return [api](const web::Request& request, web::Reply reply) { reply(api->answer(request)); };
}

}  // namespace causeway::control
