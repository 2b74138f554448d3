#include "kernel/attachment.h"

#include <cerrno>

#include <bpf/bpf.h>

#include "kernel/pins.h"

namespace causeway::kernel {
namespace {

bool joins(int link_fd, const Program& program, const Cgroup& cgroup) {
  bpf_link_info info{};
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(link_fd, &info, &size) != 0) return false;
  // A link whose cgroup was removed says 0.
  return info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id == cgroup.id &&
         info.cgroup.attach_type == static_cast<__u32>(program.attach_type);
}

Error attach_error(int status, const Program& program, const Cgroup& cgroup) {
  Error error = errno_error(-status, "attach BPF program " + program.name + " to", cgroup.path);
  if (status == -EPERM) {
    error.cause +=
        "; another program is attached to this hook, or above it, in exclusive mode: `bpftool cgroup tree` shows it";
  }
  return error;
}

}  // namespace

Result<Attachment> Attachment::make(const Program& program, const Cgroup& cgroup, const std::string& path) {
  Result<Fd> pinned = open_pin(path);
  if (!pinned) return pinned.error();
  if (*pinned) {
    if (joins(pinned->get(), program, cgroup) && bpf_link_update(pinned->get(), program.fd.get(), nullptr) == 0) {
      return Attachment(path, std::move(*pinned), true);
    }
    bpf_link_detach(pinned->get());
    if (Result<void> gone = unpin(path); !gone) return gone.error();
  }
  Fd link(bpf_link_create(program.fd.get(), cgroup.fd.get(), program.attach_type, nullptr));
  if (!link) return attach_error(link.get(), program, cgroup);
  if (Result<void> done = pin(link.get(), path); !done) return done.error();
  return Attachment(path, std::move(link), false);
}

Result<void> Attachment::remove() {
  if (!link_) return {};
  // Explicitly: closing the last descriptor would do, but a child may have inherited one.
  const int status = bpf_link_detach(link_.get());
  link_.reset();
  if (Result<void> gone = unpin(path_); !gone) return gone;
  if (status < 0 && status != -ENOLINK) return errno_error(-status, "detach BPF link", path_);
  return {};
}

}  // namespace causeway::kernel
