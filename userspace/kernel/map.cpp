#include "kernel/map.h"

#include <cerrno>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

namespace causeway::kernel {

RawMap::RawMap(std::string name, Fd fd, std::uint32_t limit, std::string holds, std::string setting)
    : name_(std::move(name)),
      fd_(std::move(fd)),
      limit_(limit),
      holds_(std::move(holds)),
      setting_(std::move(setting)) {}

Result<void> RawMap::put_bytes(const void* key, const void* value) {
  return put_bytes(key, value, BPF_ANY);
}

Result<void> RawMap::put_new_bytes(const void* key, const void* value) {
  return put_bytes(key, value, BPF_NOEXIST);
}

Result<void> RawMap::put_bytes(const void* key, const void* value, std::uint64_t flags) {
  const int status = bpf_map_update_elem(fd(), key, value, flags);
  if (status == 0 || (status == -EEXIST && flags == BPF_NOEXIST)) return {};
  if (status == -E2BIG) {
    const std::string set_by = setting_.empty() ? "" : ", set by " + setting_;
    const std::string raise = setting_.empty() ? "" : " or raise " + setting_ + " and restart the agent";
    Error full =
        make_error("write to BPF map", name_,
                   fmt::format("it is full: its limit is {} {}{}; what was there stays in force, what did not "
                               "fit is not in the kernel; delete some,{}",
                               limit_, holds_, set_by, raise.empty() ? " or describe fewer on this host" : raise));
    full.code = E2BIG;
    return full;
  }
  return errno_error(-status, "write to BPF map", name_);
}

Result<bool> RawMap::erase_bytes(const void* key) {
  const int status = bpf_map_delete_elem(fd(), key);
  if (status == 0) return true;
  if (status == -ENOENT) return false;
  return errno_error(-status, "delete from BPF map", name_);
}

Result<bool> RawMap::get_bytes(const void* key, void* value) const {
  const int status = bpf_map_lookup_elem(fd(), key, value);
  if (status == 0) return true;
  if (status == -ENOENT) return false;
  return errno_error(-status, "read from BPF map", name_);
}

Result<bool> RawMap::next_key(const void* previous, void* next) const {
  const int status = bpf_map_get_next_key(fd(), previous, next);
  if (status == 0) return true;
  if (status == -ENOENT) return false;
  return errno_error(-status, "list BPF map", name_);
}

std::size_t possible_cpus() {
  static const int count = libbpf_num_possible_cpus();
  return count > 0 ? static_cast<std::size_t>(count) : 1;
}

}  // namespace causeway::kernel
