#include "kernel/plane.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../bpf/lib/balance.h"
#include "base/log.h"
#include "kernel/attachment.h"
#include "kernel/canary.h"
#include "kernel/cgroup.h"
#include "kernel/encode.h"
#include "kernel/ended.h"
#include "kernel/entries.h"
#include "kernel/object.h"
#include "kernel/pins.h"
#include "kernel/probe.h"
#include "kernel/sync.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace causeway::kernel {
namespace {

constexpr std::size_t kHeartbeatBytes = 4096;  // a map of one entry is one page

Result<std::uint64_t> netns_cookie() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (!socket || ::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) {
    return errno_error(errno, "read the cookie of", "the network namespace (Linux 5.14 or newer is needed)");
  }
  return cookie;
}

struct Cgroups {
  Cgroup attach, agent, tasks;
};

Result<Cgroups> open_cgroups(const PlaneOptions& options) {
  Cgroups cgroups;
  for (const auto& [path, into] :
       {std::pair{&options.attach_cgroup, &cgroups.attach}, std::pair{&options.agent_cgroup, &cgroups.agent},
        std::pair{&options.tasks_cgroup, &cgroups.tasks}}) {
    Result<Cgroup> cgroup = open_cgroup(*path);
    if (!cgroup) return cgroup.error();
    *into = std::move(*cgroup);
    if (!is_below(*path, options.attach_cgroup)) {
      return make_error("use cgroup", *path, "it must lie below the cgroup to attach to, " + options.attach_cgroup);
    }
  }
  return cgroups;
}

/// Of what names this host among others.
std::uint64_t host_hash() {
  std::string name;
  std::getline(std::ifstream("/etc/machine-id"), name);
  std::array<char, HOST_NAME_MAX + 1> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0) name += host.data();
  std::uint64_t hash = 0;
  for (const char c : name) hash = cw_mix(hash + static_cast<unsigned char>(c));
  return hash;
}

cw_config configuration(const PlaneOptions& options, const Cgroups& cgroups, std::uint64_t cookie) {
  cw_config config{};
  config.netns_cookie = cookie;
  config.agent_cgroup_id = cgroups.agent.id;
  config.tasks_cgroup_id = cgroups.tasks.id;
  config.agent_level = cgroups.agent.level;
  config.tasks_level = cgroups.tasks.level;
  config.alias_v4_base = encode(options.alias_v4.base);
  config.alias_v4_mask = encode_mask(options.alias_v4);
  config.alias_v6_base = encode(options.alias_v6.base);
  config.alias_v6_mask = encode_mask(options.alias_v6);
  config.proxy_v4 = encode(options.proxy_v4);
  config.proxy_v6 = encode(options.proxy_v6);
  config.dns_v4 = encode(options.dns_v4);
  config.dns_v6 = encode(options.dns_v6);
  config.host_hash = host_hash();
  config.capture_dns = options.capture_dns;
  const OptionalHelpers helpers = optional_helpers();
  config.has_set_retval = helpers.set_retval;
  config.has_mptcp = helpers.mptcp;
  return config;
}

EjectionEvent ejection_of(const cw_ejection_event& event) {
  return {ServiceId(event.service_id),
          EndpointId(event.endpoint_id),
          event.ejected != 0,
          event.run == CW_RUN_RESET,
          event.ejections,
          std::chrono::steady_clock::time_point(std::chrono::nanoseconds(event.until_ns))};
}

}  // namespace

struct Plane::State {
  PlaneOptions options;
  Object object;
  Sync sync{object.maps, [this](std::uint32_t endpoint) { return forget_ejection(endpoint); }};
  std::vector<Attachment> attachments;
  Fd lock;  ///< of the pin root
  ring_buffer* events = nullptr;
  const Listeners* listeners = nullptr;  ///< while drain_events() runs
  bool rechecks = false;                 ///< it has found an endpoint to look at again
  cw_heartbeat* heartbeat = nullptr;
  std::atomic<std::uint64_t> acknowledged{0};
  std::optional<Error> last_error;

  ~State() {
    ring_buffer__free(events);
    if (heartbeat != nullptr) ::munmap(heartbeat, kHeartbeatBytes);
    if (lock) ::flock(lock.get(), LOCK_UN);  // a child that was just forked shares it
  }

  static int on_event(void* context, void* data, std::size_t size) {
    auto* state = static_cast<State*>(context);
    std::uint32_t type = 0;
    if (size < sizeof type || state->listeners == nullptr) return 0;
    std::memcpy(&type, data, sizeof type);
    if (type == CW_EVENT_LISTEN && size >= sizeof(cw_listen_event)) {
      cw_listen_event event{};
      std::memcpy(&event, data, sizeof event);
      if (state->listeners->on_listen) state->listeners->on_listen({decode(event.address)});
    } else if (type == CW_EVENT_EJECTION && size >= sizeof(cw_ejection_event)) {
      cw_ejection_event event{};
      std::memcpy(&event, data, sizeof event);
      if (state->listeners->on_ejection) state->listeners->on_ejection(ejection_of(event));
    } else if (type == CW_EVENT_LATE_DIAL && size >= sizeof(cw_late_dial_event)) {
      cw_late_dial_event event{};
      std::memcpy(&event, data, sizeof event);
      state->sync.recheck(event.endpoint_id, monotonic_now());
      state->rechecks = true;
    }
    return 0;
  }

  Result<void> forget_ejection(std::uint32_t endpoint);
  Result<Ended> end_connections();
  Result<void> open_shared_memory();
  Result<void> attach(const Cgroups& cgroups);
};

Result<void> Plane::State::forget_ejection(std::uint32_t endpoint) {
  LIBBPF_OPTS(bpf_test_run_opts, run);
  const std::uint64_t argument = endpoint;
  run.ctx_in = &argument;
  run.ctx_size_in = sizeof argument;
  if (const int status = bpf_prog_test_run_opts(object.forget_ejection.get(), &run); status < 0)
    return errno_error(-status, "run BPF program", "forget_ejection");
  return {};
}

Result<Ended> Plane::State::end_connections() {
  if (object.end_connections && !options.end_by_netlink) return end_by_program(object.end_connections.get());
  const auto kept = object.maps.connections_by_cookie.entries();
  if (!kept) return kept.error();
  EndpointsByCookie by_cookie;
  for (const auto& [cookie, connection] : *kept) {
    if (connection.owner_and_phase % CW_PHASES >= CW_CONNECTING) by_cookie[cookie] = connection.endpoint_id;
  }
  const MonotonicTime now = monotonic_now();
  return end_by_netlink(object.maps.connections.fd(), by_cookie, [&](std::uint32_t endpoint) {
    const auto entry = object.maps.leaving.get(endpoint);
    return entry && *entry && MonotonicTime((*entry)->due_ns) <= now;
  });
}

Result<void> Plane::State::open_shared_memory() {
  events = ring_buffer__new(object.maps.events.fd(), &State::on_event, this, nullptr);
  if (events == nullptr) return errno_error(errno, "map BPF ring buffer", object.maps.events.name());
  void* page = ::mmap(nullptr, kHeartbeatBytes, PROT_READ | PROT_WRITE, MAP_SHARED, object.maps.heartbeat.fd(), 0);
  if (page == MAP_FAILED) return errno_error(errno, "map BPF map", object.maps.heartbeat.name());
  heartbeat = static_cast<cw_heartbeat*>(page);
  return {};
}

Result<void> Plane::State::attach(const Cgroups& cgroups) {
  for (const Program& program : object.programs) {
    Result<Attachment> made = Attachment::make(program, program.agent_only ? cgroups.agent : cgroups.attach,
                                               links_directory(options.pin_root) + "/" + program.name);
    if (!made) return made.error();
    attachments.push_back(std::move(*made));
  }
  return {};
}

Result<std::unique_ptr<Plane>> Plane::start(const PlaneOptions& options) {
  if (const Result<void> there = ensure_bpffs(options.pin_root); !there) return there.error();
  const Result<Cgroups> cgroups = open_cgroups(options);
  if (!cgroups) return cgroups.error();
  const Result<std::uint64_t> cookie = netns_cookie();
  if (!cookie) return cookie.error();
  auto state = std::make_unique<State>();
  state->options = options;
  if (const Result<void> made = make_pin_directories(options.pin_root); !made) return made.error();
  Result<Fd> lock = lock_pins(options.pin_root);
  if (!lock) return lock.error();
  state->lock = std::move(*lock);
  Result<Object> object = load_object(configuration(options, *cgroups, *cookie), options.sizes, options.pin_root,
                                      optional_helpers().sock_destroy);
  if (!object) return object.error();
  state->object = std::move(*object);
  for (const std::string& name : state->object.replaced)
    log::warn("BPF map {} of an earlier agent does not fit and starts empty", name);
  if (const auto& kept = state->object.kept_sizes; !kept.empty())
    log::warn(
        "an earlier agent left BPF maps of other sizes than [kernel] asks for, and they stay, because connections are "
        "served by them: {}; for the new sizes, stop the agent, run: causeway detach, and start it again",
        fmt::join(kept, ", "));
  if (const Result<void> read = state->sync.adopt(); !read) return read.error();
  if (const Result<void> made = state->object.maps.path_counters.make({CW_COUNTED_TOGETHER, 0}); !made)
    return made.error();
  if (const Result<void> done = state->open_shared_memory(); !done) return done.error();
  if (const Result<void> done = state->attach(*cgroups); !done) {
    for (auto it = state->attachments.rbegin(); it != state->attachments.rend(); ++it) {
      if (!it->was_taken_over()) (void)it->remove();  // what an earlier agent serves goes on
    }
    return done.error();
  }
  remove_foreign_maps(options.pin_root);
  return std::unique_ptr<Plane>(new Plane(std::move(state)));
}

Plane::Plane(std::unique_ptr<State> state) : state_(std::move(state)) {}

Plane::~Plane() = default;

void Plane::publish(SnapshotPtr snapshot) {
  if (const Result<void> done = state_->sync.apply(*snapshot); !done) {
    state_->last_error = done.error();
    log::error("{}", done.error().message());
    return;
  }
  state_->last_error.reset();
  state_->acknowledged.store(snapshot->revision.value, std::memory_order_release);
}

Revision Plane::acknowledged() const {
  return Revision(state_->acknowledged.load(std::memory_order_acquire));
}

std::optional<std::chrono::steady_clock::time_point> Plane::next_end() const {
  const std::optional<MonotonicTime> next = state_->sync.leaving().next();
  if (!next) return std::nullopt;
  return std::chrono::steady_clock::time_point(*next);  // libstdc++'s is CLOCK_MONOTONIC
}

Result<std::vector<EndedConnections>> Plane::end_connections() {
  const MonotonicTime now = monotonic_now();
  std::vector<EndedConnections> all;
  Result<void> first;
  if (!state_->sync.to_end(now).empty()) {
    const Result<Ended> ended = state_->end_connections();
    if (!ended) first = ended.error();
    if (ended) {
      for (const auto& [endpoint, count] : *ended) all.push_back({EndpointId(endpoint), count});
    }
  }
  if (Result<void> done = state_->sync.clear_up(now); !done && first) first = done;
  if (!first) return first.error();
  return all;
}

std::optional<Error> Plane::last_error() const {
  return state_->last_error;
}

int Plane::events_fd() const {
  return ring_buffer__epoll_fd(state_->events);
}

bool Plane::drain_events(const Listeners& listeners) {
  state_->listeners = &listeners;
  state_->rechecks = false;
  ring_buffer__consume(state_->events);
  state_->listeners = nullptr;
  return state_->rechecks;
}

std::optional<UdpPeer> Plane::udp_peer(const SocketAddress& source) const {
  const auto peer = state_->object.maps.dns_peers.get(encode(source));
  if (!peer || !*peer) return std::nullopt;
  return UdpPeer{NamespaceNumber((*peer)->namespace_number), ClientId((*peer)->client_id), decode((*peer)->resolver)};
}

std::vector<PathCounters> Plane::path_counters() const {
  std::vector<PathCounters> all;
  const auto& map = state_->object.maps.path_counters;
  const auto keys = map.keys();
  if (!keys) return all;
  for (const cw_counters_key& key : *keys) {
    const auto sum = map.sum(key);
    if (sum && *sum && !KeyBytes<cw_counters>{}(**sum, {}))
      all.push_back({ServiceId(key.service_id), ClientId(key.client_id), **sum});
  }
  return all;
}

std::int64_t Plane::active(ServiceId service) const {
  const auto state = state_->object.maps.service_states.get(service.value);
  return state && *state ? (*state)->active : 0;
}

std::int64_t Plane::active(EndpointId endpoint) const {
  const auto state = state_->object.maps.endpoint_states.get(endpoint.value);
  return state && *state ? (*state)->active : 0;
}

bool Plane::is_ejected(EndpointId endpoint) const {
  const auto state = state_->object.maps.endpoint_states.get(endpoint.value);
  return state && *state && (*state)->out != 0;
}

int Plane::heartbeat_fd() const {
  return state_->object.maps.heartbeat.fd();
}

cw_heartbeat* Plane::heartbeat() const {
  return state_->heartbeat;
}

Result<bool> Plane::verify_interception() {
  const std::string parent =
      std::filesystem::path(state_->options.tasks_cgroup).lexically_normal().parent_path().string();
  return canary_arrives(state_->object.maps.aliases, state_->options.alias_v4,
                        is_below(parent, state_->options.attach_cgroup) ? parent : state_->options.attach_cgroup);
}

Result<void> Plane::stop_capture() {
  // recvmsg and getpeername stay: answers to queries on their way still show the resolver that was asked.
  constexpr std::string_view kTakesDials[] = {"connect4", "connect6", "sendmsg4", "sendmsg6", "bind4", "bind6"};
  Result<void> first;
  for (Attachment& attachment : state_->attachments) {
    const auto name = std::filesystem::path(attachment.path()).filename().string();
    if (std::find(std::begin(kTakesDials), std::end(kTakesDials), name) == std::end(kTakesDials)) continue;
    if (Result<void> done = attachment.remove(); !done && first) first = done;
  }
  return first;
}

Result<void> Plane::stop() {
  Result<void> first;
  for (auto it = state_->attachments.rbegin(); it != state_->attachments.rend(); ++it) {
    if (Result<void> done = it->remove(); !done && first) first = done;
  }
  state_->attachments.clear();
  const auto removed = detach(state_->options.pin_root);
  if (!removed && first) return removed.error();
  return first;
}

}  // namespace causeway::kernel
