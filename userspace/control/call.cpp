#include "control/call.h"

#include <algorithm>

#include <fmt/core.h>

namespace causeway::control {

void Call::put_raw(std::string key, std::string value) {
  std::erase(txn.deletes, key);
  const auto standing =
      std::find_if(txn.puts.begin(), txn.puts.end(), [&](const auto& put) { return put.first == key; });
  if (standing != txn.puts.end()) {
    standing->second = std::move(value);
  } else {
    txn.puts.emplace_back(std::move(key), std::move(value));
  }
}

void Call::erase_raw(std::string key) {
  std::erase_if(txn.puts, [&](const auto& put) { return put.first == key; });
  if (std::find(txn.deletes.begin(), txn.deletes.end(), key) == txn.deletes.end())
    txn.deletes.push_back(std::move(key));
}

std::uint64_t Call::next_number(const std::string& name) {
  auto [given, first] = given_.try_emplace(name, 0);
  if (first) {
    const auto last = state.counters.find(name);
    given->second = last == state.counters.end() ? 0 : last->second;
  }
  ++given->second;
  put_raw("/counters/" + name, std::to_string(given->second));
  return given->second;
}

Seconds Call::now() const {
  // Milliseconds, as AWS writes them: a double has room for no more digits that mean anything.
  const auto since_epoch = std::chrono::duration_cast<std::chrono::milliseconds>(clock.wall().time_since_epoch());
  return static_cast<double>(since_epoch.count()) / 1000;
}

std::string Call::start_operation(std::string type, std::map<std::string, std::string> targets) {
  OperationRecord operation;
  operation.id = random.alphanumeric(32);
  operation.type = std::move(type);
  operation.status = "PENDING";
  operation.targets = std::move(targets);
  operation.created = operation.updated = now();
  put(operation);
  return operation.id;
}

std::string Call::sd_arn(std::string_view resource) const {
  return fmt::format("arn:aws:servicediscovery:{}:{}:{}", settings.region, settings.account, resource);
}

std::string Call::ecs_arn(std::string_view resource) const {
  return fmt::format("arn:aws:ecs:{}:{}:{}", settings.region, settings.account, resource);
}

ApiResult fail(unsigned status, std::string type, std::string message, json::object members) {
  ApiResult result;
  result.error = ApiError{status, std::move(type), std::move(message), std::move(members)};
  return result;
}

}  // namespace causeway::control
