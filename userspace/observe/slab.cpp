#include "observe/slab.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

namespace causeway::observe {
namespace {

// The layout is the ABI between the agent and a proxy of another version: a region is kSlotsPerWorker slots, the
// overflow slot and the worker's own counters, rounded up to whole pages so that no two workers share a cache line. Zero
// bytes are an empty region.
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "counters are shared between processes");
static_assert(sizeof(Slot) == 8 + 6 * 8 + 2 * (15 * 8 + 8) + 2 * 8 + 7 * 8 + 4 * 8 + 7 * 8 + 1 * 8 + 5 * 8 + 4 * 8);
static_assert((kSlotsPerWorker & (kSlotsPerWorker - 1)) == 0, "slots are found by masking a hash");

constexpr std::size_t kPage = 4096;
constexpr std::size_t kSlotsBytes = (kSlotsPerWorker + 1) * sizeof(Slot);
constexpr std::size_t kRegionBytes = (kSlotsBytes + sizeof(WorkerCounters) + kPage - 1) / kPage * kPage;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr std::uint64_t kOverflowKey = std::uint64_t{0xffffffff} << 32;

/// A lookup touches at most this many slots. With double hashing a region that is nine tenths full still misses a free
/// slot in 0.1 % of the cases only (0.9^64), and a full one costs 64 cache misses instead of 1024.
constexpr std::size_t kMaxProbes = 64;

std::uint64_t mix(std::uint64_t x) {  // SplitMix64's finalizer
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

Slot* region(void* base, std::size_t worker) {
  return std::launder(reinterpret_cast<Slot*>(static_cast<std::byte*>(base) + worker * kRegionBytes));
}

Result<void*> map(int fd, std::size_t bytes) {
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return errno_error(errno, "map", "the shared counters");
  return base;
}

}  // namespace

void Histogram::observe(std::uint64_t microseconds) {
  const auto bound = std::lower_bound(kDurationBoundsUs.begin(), kDurationBoundsUs.end(), microseconds);
  bump(buckets[static_cast<std::size_t>(bound - kDurationBoundsUs.begin())]);
  bump(sum_us, microseconds);
}

Result<Slab> Slab::create(std::size_t workers) {
  if (workers == 0 || workers > kMaxWorkers)
    return make_error(
        "create", "the shared counters",
        std::to_string(workers) + " workers asked for; 1 to " + std::to_string(kMaxWorkers) + " are possible");
  Fd fd(memfd_create("causeway-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return errno_error(errno, "create", "the shared counters (memfd_create)");
  const std::size_t bytes = workers * kRegionBytes;
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return errno_error(errno, "size", "the shared counters");
  // Sealed, so that the unprivileged side cannot make the agent's reads fault (SIGBUS) by shrinking the file.
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return errno_error(errno, "seal", "the shared counters");
  auto base = map(fd.get(), bytes);
  if (!base) return base.error();
  return Slab(std::move(fd), *base, bytes);
}

Result<Slab> Slab::open(Fd memfd) {
  struct stat status {};
  if (fstat(memfd.get(), &status) != 0) return errno_error(errno, "open", "the shared counters");
  const int seals = fcntl(memfd.get(), F_GET_SEALS);
  if (seals < 0) return errno_error(errno, "open", "the shared counters: not a memfd");
  if ((seals & kSeals) != kSeals)
    return make_error("open", "the shared counters",
                      "the memfd's size is not sealed; hand over one made by Slab::create");
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes == 0 || bytes % kRegionBytes != 0 || bytes / kRegionBytes > kMaxWorkers)
    return make_error("open", "the shared counters",
                      std::to_string(bytes) + " bytes are not 1 to " + std::to_string(kMaxWorkers) + " regions of " +
                          std::to_string(kRegionBytes) + "; agent and proxy are of different versions");
  auto base = map(memfd.get(), bytes);
  if (!base) return base.error();
  return Slab(std::move(memfd), *base, bytes);
}

Slab::Slab(Slab&& other) noexcept
    : fd_(std::move(other.fd_)), base_(std::exchange(other.base_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Slab& Slab::operator=(Slab&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Slab::~Slab() {
  if (base_ != nullptr) munmap(base_, bytes_);
}

std::size_t Slab::workers() const {
  return bytes_ / kRegionBytes;
}

Slot& Slab::slot(std::size_t worker, ServiceId service, ClientId client) {
  if (worker >= workers()) {
    log::error("counters of worker {} asked for; there are {}", worker, workers());
    std::abort();
  }
  Slot* slots = region(base_, worker);
  const std::uint64_t key = std::uint64_t{service.value} << 32 | client.value;
  const std::uint64_t hash = mix(key);
  const std::size_t step = static_cast<std::size_t>(hash >> 32) | 1;  // odd: visits every slot of a power of two
  std::size_t at = static_cast<std::size_t>(hash);
  for (std::size_t probe = 0; service.value != 0 && probe < kMaxProbes; ++probe, at += step) {
    Slot& candidate = slots[at & (kSlotsPerWorker - 1)];
    const std::uint64_t held = candidate.key.load(std::memory_order_relaxed);
    if (held == key) return candidate;
    if (held == 0) {
      candidate.key.store(key, std::memory_order_release);
      return candidate;
    }
  }
  Slot& overflow = slots[kSlotsPerWorker];
  overflow.key.store(kOverflowKey, std::memory_order_release);
  return overflow;
}

const WorkerCounters& Slab::worker(std::size_t worker) const {
  if (worker >= workers()) {
    log::error("counters of worker {} asked for; there are {}", worker, workers());
    std::abort();
  }
  const auto* at = static_cast<const std::byte*>(base_) + worker * kRegionBytes + kSlotsBytes;
  return *std::launder(reinterpret_cast<const WorkerCounters*>(at));
}

WorkerCounters& Slab::worker(std::size_t worker) {
  return const_cast<WorkerCounters&>(std::as_const(*this).worker(worker));
}

void Slab::reset_gauges() {
  for (std::size_t worker = 0; worker < workers(); ++worker) {
    Slot* slots = region(base_, worker);
    for (std::size_t i = 0; i <= kSlotsPerWorker; ++i)
      // Free slots are skipped: writing to them would make their pages resident.
      if (slots[i].key.load(std::memory_order_relaxed) != 0) {
        Slot& slot = slots[i];
        for (Counter* gauge : {&slot.connections_active, &slot.upstream_connections, &slot.requests_pending,
                               &slot.retries_active, &slot.endpoints_ejected})
          gauge->store(0, std::memory_order_relaxed);
      }
  }
}

void Slab::for_each(const std::function<void(ServiceId, ClientId, const Slot&)>& visit) const {
  for (std::size_t worker = 0; worker < workers(); ++worker) {
    const Slot* slots = region(base_, worker);
    for (std::size_t i = 0; i <= kSlotsPerWorker; ++i) {
      const std::uint64_t key = slots[i].key.load(std::memory_order_acquire);
      if (key == 0) continue;
      visit(ServiceId(static_cast<std::uint32_t>(key >> 32)), ClientId(static_cast<std::uint32_t>(key)), slots[i]);
    }
  }
}

}  // namespace causeway::observe
