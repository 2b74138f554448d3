#include "agent/explain_words.h"

#include <algorithm>

#include <fmt/core.h>

#include "model/names.h"

namespace causeway::agent {
namespace {

bool has_weights(const Service& service) {
  return std::any_of(service.endpoints.begin(), service.endpoints.end(),
                     [&](const Endpoint& each) { return each.weight != service.endpoints.front().weight; });
}

std::string_view by_balance(Balance balance) {
  switch (balance) {
    case Balance::round_robin:
      return "in turn (balance is round_robin)";
    case Balance::random:
      return "by chance (balance is random)";
    case Balance::least_active:
      return "of two drawn by chance the one with fewer connections (balance is least_active)";
    case Balance::maglev:
      return "a client always the same (balance is maglev)";
  }
  return "?";
}

}  // namespace

std::string relayed_as(AppProtocol protocol) {
  switch (protocol) {
    case AppProtocol::detect:
      return "no appProtocol: HTTP/1.1 is recognised from the first bytes, anything else is relayed as TCP";
    case AppProtocol::http:
      return "appProtocol http: HTTP/1.1, anything else is answered with 400";
    case AppProtocol::http2:
    case AppProtocol::grpc:
      return fmt::format("appProtocol {}: relayed as TCP, balanced by connection", to_string(protocol));
    case AppProtocol::tcp:
      break;
  }
  return "relayed as TCP, balanced by connection";
}

std::string_view refused_by_proxy(AppProtocol protocol) {
  if (protocol == AppProtocol::http) return "a request is answered with 503";
  return protocol == AppProtocol::detect ? "HTTP is answered with 503, anything else is reset"
                                         : "a connection is reset";
}

std::string chosen_by(const Service& service) {
  std::string words(by_balance(service.settings.balance));
  if (has_weights(service)) words += ", by weight";
  if (service.settings.locality == Locality::prefer_host) {
    words += fmt::format(", among those of this host while {}% of them are fit (locality is prefer_host)",
                         service.settings.locality_min_healthy);
  }
  return words;
}

std::string in_turn(const Service& service) {
  return has_weights(service) ? "in turn, by weight" : "in turn";
}

}  // namespace causeway::agent
