#pragma once
// Supervises causeway-proxy: starts it, hands it its descriptors, starts it again when it ends.
#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "base/result.h"
#include "feed/feed.h"
#include "model/snapshot.h"

namespace causeway::agent {

struct ProxyProcessOptions {
  std::string binary;   ///< causeway-proxy
  std::string user;     ///< account name or number it becomes
  std::string jail;     ///< empty directory that becomes its root
  std::string cgroup;   ///< Layout::proxy
  log::Level log_level = log::Level::info;
  feed::ProxySettings settings;
  std::vector<Fd> listeners;  ///< kept open here for as long as the agent lives
  int counters = -1;          ///< observe::Slab's memfd
  int heartbeat = -1;         ///< kernel::Plane's map
};

/// Control thread, but pid(), restarts(), alive() and acknowledged(): any.
class ProxyProcess {
 public:
  ProxyProcess(boost::asio::any_io_executor executor, ProxyProcessOptions options);
  ~ProxyProcess();

  /// Starts it for the first time; afterwards it is started again whenever it ends: at once if it had served, with
  /// growing pauses (50 ms to 2 s) if it had not, or if it ends often.
  Result<void> start();
  /// Sent now, and whole to every proxy that starts later.
  void publish(SnapshotPtr snapshot);
  void on_acknowledged(std::function<void(Revision)> callback);
  /// Where its access log goes from now on, and that of every proxy that starts later.
  void set_access_log(Fd output);
  /// Called when it has ended on its own, before it is started again.
  void on_ended(std::function<void()> callback);

  /// Asks it to drain and waits for its end, at most the drain time and a second, then ends it. Not started again.
  void stop(std::function<void()> done);
  /// Ends it at once, if it runs, and waits for that. Not started again.
  void kill();

  int pid() const;
  std::uint64_t restarts() const;
  bool alive() const;  ///< it runs and has acknowledged a snapshot since its start
  Revision acknowledged() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace causeway::agent
