#pragma once
// The admin interface: /metrics, /healthz, /readyz. Reads only.
#include <functional>
#include <string>
#include <vector>

#include "web/server.h"

namespace causeway::admin {

/// Called on the admin server's thread for each request: they must be callable from there.
struct Sources {
  std::function<std::string()> metrics;                 ///< Prometheus text
  std::function<bool()> alive;                          ///< the control thread answers
  std::function<std::vector<std::string>()> not_ready;  ///< what is missing, a line each; empty: ready
};

/// GET and HEAD alone; 405 otherwise, 404 for unknown paths.
web::Handler make_admin(Sources sources);

}  // namespace causeway::admin
