#pragma once
// A service's settings for people: every one, its value, and where that comes from.
#include <boost/json/object.hpp>

#include "control/call.h"

namespace causeway::agent {

/// As docs/local-api.md describes GET /v1/settings.
boost::json::object settings_view(const control::State& state, const control::Settings& host,
                                  const control::ServiceRecord& service);

}  // namespace causeway::agent
