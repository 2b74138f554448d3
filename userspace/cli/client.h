#pragma once
// Asks the agent over its Unix socket.
#include <chrono>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "base/result.h"

namespace causeway::cli {

class Client {
 public:
  explicit Client(std::string socket_path, std::chrono::milliseconds timeout = std::chrono::seconds(10))
      : path_(std::move(socket_path)), timeout_(timeout) {}

  /// One request over a connection of its own. The Error is for people: what the agent says against it, or why there is
  /// no agent and how to start it; code ECONNREFUSED or ENOENT: no agent.
  Result<boost::json::object> get(std::string_view target) const;
  Result<boost::json::object> post(std::string_view target, const boost::json::object& body) const;

  const std::string& path() const { return path_; }

 private:
  Result<boost::json::object> ask(std::string_view method, std::string_view target, std::string_view body) const;

  std::string path_;
  std::chrono::milliseconds timeout_;
};

/// Percent-encoding for a query parameter's value.
std::string url_encode(std::string_view text);

}  // namespace causeway::cli
