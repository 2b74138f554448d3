#include "proxy/heartbeat.h"

#include <cerrno>

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace causeway::proxy {

namespace {
std::size_t page_bytes() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}
}  // namespace

Result<Heartbeat> Heartbeat::map(Fd fd) {
  if (!fd) return Heartbeat(nullptr);
  void* page = ::mmap(nullptr, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (page == MAP_FAILED) return errno_error(errno, "map", "heartbeat page");
  return Heartbeat(static_cast<cw_heartbeat*>(page));
}

Heartbeat::~Heartbeat() {
  if (page_ != nullptr) ::munmap(page_, page_bytes());
}

void Heartbeat::beat() {
  if (page_ == nullptr) return;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto ns = static_cast<__u64>(now.tv_sec) * 1'000'000'000u + static_cast<__u64>(now.tv_nsec);
  __atomic_store_n(&page_->proxy_ns, ns, __ATOMIC_RELAXED);
}

}  // namespace causeway::proxy
