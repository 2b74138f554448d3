#pragma once
// The JSON documents of the local API; docs/local-api.md describes each.
#include <boost/json/object.hpp>

#include "agent/config.h"
#include "agent/kernel_view.h"
#include "agent/local_api.h"
#include "control/api.h"
#include "control/state.h"
#include "model/snapshot.h"

namespace causeway::agent {

boost::json::object status_view(const control::State& state, const Snapshot& snapshot, const RuntimeStatus& runtime,
                                std::size_t tasks_here);
boost::json::object services_view(const Snapshot& snapshot, const RuntimeStatus& runtime);
boost::json::object endpoints_view(const Snapshot& snapshot, const KernelView& kernel);
/// STOPPED ones too, as long as they are kept.
boost::json::object tasks_view(const control::State& state);
boost::json::object task_view(const control::TaskRecord& task);
boost::json::object env_view(const Config& config, const control::Credentials& credentials);

}  // namespace causeway::agent
