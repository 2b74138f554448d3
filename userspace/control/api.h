#pragma once
// The AWS API over HTTP: JSON 1.1, Signature Version 4, dispatch.
#include "control/controller.h"
#include "web/server.h"

namespace causeway::control {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
};

/// Reads or makes `path` (mode 0600, JSON); one key pair, made at the first start from getrandom(2).
Result<Credentials> load_or_create_credentials(const std::string& path);

/// A web::Handler for the control address. Both `host` and `data-host` are accepted. Control thread only.
web::Handler make_api(Controller& controller, Credentials credentials, const Clock& clock, std::string region);

}  // namespace causeway::control
