#pragma once
#include <chrono>
#include <memory>

#include "base/ip.h"
#include "net/connection.h"
#include "net/deadline.h"

namespace causeway::net {

struct Connected {
  std::unique_ptr<Connection> connection;  ///< null on error
  boost::system::error_code error;         ///< ETIMEDOUT also when `timeout` ran out
};

/// A started connect that can be abandoned from outside: interrupt() ends it with that reason.
class Connector {
 public:
  explicit Connector(EventLoop& loop) : loop_(loop) {}
  Task<Connected> connect(SocketAddress peer, std::chrono::nanoseconds timeout);
  void interrupt(boost::system::error_code reason) {
    if (pending_ != nullptr) pending_->interrupt(reason);
  }

 private:
  EventLoop& loop_;
  Connection* pending_ = nullptr;
};

}  // namespace causeway::net
