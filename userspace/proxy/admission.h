#pragma once
// Who may open another connection: bounds that all workers keep together.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "feed/limits.h"
#include "model/ids.h"
#include "observe/slab.h"

namespace causeway::proxy {

/// Any thread, without locks. Outlives every Place.
class Admission {
 public:
  /// `descriptors`: the process's limit of open files. `workers` share the room for refusals.
  Admission(const feed::ProxyLimits& limits, std::size_t descriptors, std::size_t workers);
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  /// One client's connection, counted while this lives.
  class Place {
   public:
    Place(Place&& other) noexcept : admission_(std::exchange(other.admission_, nullptr)), workload_(other.workload_) {}
    Place& operator=(Place&&) = delete;
    ~Place();

   private:
    friend class Admission;
    Place(Admission& admission, std::atomic<std::uint32_t>& workload) : admission_(&admission), workload_(&workload) {}
    Admission* admission_;
    std::atomic<std::uint32_t>* workload_;
  };
  struct Verdict {
    std::optional<Place> place;
    observe::Bound bound = observe::Bound::connections;  ///< that is in the way, without a place
  };
  /// A workload is a client: an ECS service's tasks together, or the host's processes outside tasks.
  Verdict enter(ClientId client);

  /// Whether a client's connection that was given this descriptor leaves too few for connections to endpoints. The
  /// kernel gives the lowest free number, so one at or beyond the mark says how many are in use, without a count.
  bool is_scarce(int descriptor) const { return descriptor >= mark_.load(std::memory_order_relaxed); }
  /// The process's limit is another now (prlimit).
  void set_descriptors(std::size_t limit);

  std::size_t connections() const { return total_.load(std::memory_order_relaxed); }
  /// The most that there were at a time since the last call. A look now and then would miss a short peak.
  std::size_t take_peak() { return peak_.exchange(static_cast<std::uint32_t>(connections()), std::memory_order_relaxed); }
  std::size_t max_connections() const { return max_connections_.load(std::memory_order_relaxed); }
  std::size_t max_per_workload() const;
  /// Of one worker: clients that are told at once why they are refused. Each holds a descriptor meanwhile.
  std::size_t max_refusals() const { return max_refusals_.load(std::memory_order_relaxed); }
  int mark() const { return mark_.load(std::memory_order_relaxed); }

 private:
  struct Workload {
    std::atomic<std::uint64_t> key{0};  ///< the client's number + 1; 0: free
    std::atomic<std::uint32_t> connections{0};
  };
  /// Those beyond share one count. A place in the table is never given back: a count is exact only as long as a client
  /// has one place.
  static constexpr std::size_t kWorkloads = 4096;
  static constexpr std::size_t kProbes = 32;

  std::atomic<std::uint32_t>& connections_of(ClientId client);

  const feed::ProxyLimits limits_;
  const std::size_t workers_;
  std::atomic<int> mark_{0};
  std::atomic<std::size_t> max_connections_{0};
  std::atomic<std::size_t> max_served_{0};  ///< all at the same time
  std::atomic<std::size_t> max_refusals_{0};
  std::atomic<std::uint32_t> total_{0};
  std::atomic<std::uint32_t> peak_{0};
  std::array<Workload, kWorkloads> workloads_;
  std::atomic<std::uint32_t> others_{0};
};

/// The process's limit of open files, lowered to `configured` where that is not 0.
std::size_t descriptor_limit(std::uint32_t configured);

}  // namespace causeway::proxy
