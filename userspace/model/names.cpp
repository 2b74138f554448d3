#include "model/names.h"

namespace causeway {

std::string_view to_string(AppProtocol protocol) {
  switch (protocol) {
    case AppProtocol::detect: return "detect";
    case AppProtocol::http: return "http";
    case AppProtocol::http2: return "http2";
    case AppProtocol::grpc: return "grpc";
    case AppProtocol::tcp: return "tcp";
  }
  return "?";
}

std::string_view to_string(Health health) {
  switch (health) {
    case Health::healthy: return "healthy";
    case Health::unhealthy: return "unhealthy";
    case Health::starting: return "starting";
    case Health::draining: return "draining";
  }
  return "?";
}

}  // namespace causeway
