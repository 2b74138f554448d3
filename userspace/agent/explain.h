#pragma once
// What a dial of a name would meet, step by step, from the state and the snapshot that the data path carries.
#include <cstdint>
#include <optional>
#include <string>

#include <boost/json/object.hpp>

#include "agent/kernel_view.h"
#include "base/result.h"
#include "control/call.h"
#include "model/snapshot.h"

namespace causeway::agent {

struct ExplainQuestion {
  std::string name;  ///< as an application would dial it: a name or an IP address
  std::optional<std::uint16_t> port;
  std::string from;  ///< CLUSTER/SERVICE of the task that dials; "": a process outside all tasks
};

/// Splits NAME, NAME:PORT, ADDRESS:PORT and [IPv6]:PORT. The Error says what is wrong with it.
Result<ExplainQuestion> parse_target(std::string_view target);

/// The answer as docs/local-api.md describes it; `host`: the settings of the configuration. An Error where `from` names no ECS service.
Result<boost::json::object> explain(const control::State& state, const Snapshot& snapshot,
                                    const ExplainQuestion& question, const control::Settings& host = {},
                                    const KernelView& kernel = {});

}  // namespace causeway::agent
