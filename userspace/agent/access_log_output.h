#pragma once
// Where the access log's lines go. The agent opens it, because the proxy that writes them may open no file.
#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/fd.h"
#include "base/result.h"
#include "model/snapshot.h"

namespace causeway::agent {

/// `path` is absolute, or "stdout". A file is appended to; it is made, with its directory, if it is not there, readable
/// by root's group. Pipes and terminals are opened anew, so that a descriptor that does not block changes nothing for
/// those who share them.
Result<Fd> open_access_log(const std::string& path);

/// Opens the output once a service is logged, and again when a rotation asks for it. Control thread.
class AccessLogOutput {
 public:
  /// `give` gets each descriptor that is opened. An empty `path`: never.
  AccessLogOutput(boost::asio::any_io_executor executor, std::string path, std::function<void(Fd)> give)
      : path_(std::move(path)), give_(std::move(give)), timer_(std::move(executor)) {}

  /// A snapshot that is about to reach the proxy.
  void follow(const Snapshot& snapshot);
  /// The file was moved away: opens the path again, if it is in use.
  void reopen();
  void stop() { timer_.cancel(); }

 private:
  void open();

  std::string path_;
  std::function<void(Fd)> give_;
  boost::asio::steady_timer timer_;  ///< until the next try
  bool wanted_ = false;
  decltype(Snapshot::services) seen_;  ///< until it is wanted
};

}  // namespace causeway::agent
