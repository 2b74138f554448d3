#pragma once
#include "base/fd.h"
#include "base/result.h"
#include "causeway/abi/heartbeat.h"

namespace causeway::proxy {

/// This process's mapping of the kernel part's heartbeat page.
class Heartbeat {
 public:
  /// Without a descriptor nothing beats (tests).
  static Result<Heartbeat> map(Fd fd);
  Heartbeat(Heartbeat&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  Heartbeat& operator=(Heartbeat&&) = delete;
  ~Heartbeat();

  /// Writes the time: the kernel part sends connections here for CW_STALE_NS more.
  void beat();

 private:
  explicit Heartbeat(cw_heartbeat* page) : page_(page) {}
  cw_heartbeat* page_ = nullptr;
};

}  // namespace causeway::proxy
