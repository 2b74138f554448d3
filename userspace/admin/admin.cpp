#include "admin/admin.h"

#include "observe/exposition.h"

namespace causeway::admin {
namespace {

constexpr const char* kIndex =
    "Causeway agent\n\n"
    "/metrics  counters in the Prometheus text format\n"
    "/healthz  200 while the agent answers\n"
    "/readyz   200 once the data path acts on a snapshot, otherwise 503 and what is missing\n";

web::Response text(unsigned status, std::string body) {
  web::Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

web::Response answer(const Sources& sources, std::string_view path) {
  if (path == "/") return text(200, kIndex);
  if (path == "/healthz") return sources.alive() ? text(200, "ok\n") : text(503, "the control thread does not answer\n");
  if (path == "/metrics") {
    auto response = text(200, sources.metrics());
    response.content_type = observe::kExpositionType;
    return response;
  }
  if (path == "/readyz") {
    std::string lines;
    for (const auto& line : sources.not_ready()) lines += line + "\n";
    return lines.empty() ? text(200, "ready\n") : text(503, lines);
  }
  return text(404, "no such page; / lists them\n");
}

}  // namespace

web::Handler make_admin(Sources sources) {
  return [sources = std::move(sources)](const web::Request& request, web::Reply reply) {
    if (request.method != "GET" && request.method != "HEAD") {
      auto response = text(405, "only GET and HEAD\n");
      response.headers.push_back({"Allow", "GET, HEAD"});
      return reply(std::move(response));
    }
    reply(answer(sources, request.path()));
  };
}

}  // namespace causeway::admin
