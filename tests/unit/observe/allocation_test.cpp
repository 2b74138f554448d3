// A line of the access log allocates nothing: counted by this program's own operator new.
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "observe/access_log.h"
#include "observe/log_writer.h"

namespace {
std::atomic<std::size_t> allocations{0};
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
// Not left to the one above: a sanitizer's own does not call it.
void* operator new[](std::size_t size) {
  return operator new(size);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace causeway::observe {
namespace {

TEST(Allocation, NoLineOfAWarmLogAllocates) {
  Slab slab = Slab::create(1).value();
  LogWriter writer(Fd(), 1, slab);
  AccessLog log(writer.ring(0), writer, slab.worker(0));
  AccessRecord record;
  record.path = "/a/path/that/is/longer/than/a/short/string?query";
  record.authority = "user-svc";
  record.upstream = SocketAddress::parse("[2001:db8::1]:3000");
  std::size_t before = allocations;
  log.write(record, {AccessLogFormat::json, true});
  EXPECT_GT(allocations, before) << "the first line takes a block";
  before = allocations;
  for (int i = 0; i < 100; ++i) {
    log.write(record, {AccessLogFormat::text, false});
    log.write(record, {AccessLogFormat::json, true});
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(slab.worker(0).access_log_lines, 201u);
}

}  // namespace
}  // namespace causeway::observe
