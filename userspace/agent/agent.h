#pragma once
// causewayd put together: what each part needs of the others, start-up order and the way down.
#include <boost/asio/io_context.hpp>

#include <memory>

#include "agent/config.h"
#include "base/result.h"

namespace causeway::agent {

/// One agent of one network namespace. Made, started and stopped on the control thread (that of the io_context).
class Agent {
 public:
  Agent(boost::asio::io_context& context, Config config);
  ~Agent();

  /// Lock, cgroups, store, kernel part, proxy, DNS, interfaces. On an error what was begun is undone, but pins and a
  /// proxy that an earlier agent left: they go on serving.
  Result<void> start();
  /// Opens the access log again, after a rotation.
  void reopen_logs();
  /// Detaches, drains the proxy, stops the rest, then stops the io_context. A second call ends the drain.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace causeway::agent
