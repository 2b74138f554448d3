#include "proxy/privileges.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include <fmt/core.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/syscall_filter.h"

namespace causeway::proxy {
namespace {

struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
};

Result<std::optional<Account>> find_account(const std::string& user) {
  if (user.empty()) return std::optional<Account>{};
  Account account;
  const auto [end, error] = std::from_chars(user.data(), user.data() + user.size(), account.uid);
  if (error == std::errc{} && end == user.data() + user.size()) {
    account.gid = account.uid;
    if (const passwd* entry = ::getpwuid(account.uid)) account.gid = entry->pw_gid;
  } else if (const passwd* entry = ::getpwnam(user.c_str())) {
    account = {entry->pw_uid, entry->pw_gid};
  } else {
    return make_error("become user", user, "there is no such account; create it, or name another");
  }
  if (account.uid == 0)
    return make_error("become user", user, "that is root; the proxy reads strangers' bytes and must not be");
  return std::optional<Account>(account);
}

Result<void> enter_root(const std::string& root) {
  if (root.empty()) return {};
  if (::chroot(root.c_str()) != 0) return errno_error(errno, "make root directory of", root);
  if (::chdir("/") != 0) return errno_error(errno, "enter", root);
  return {};
}

Result<void> drop_bounding_set() {
  for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    // EPERM: started without CAP_SETPCAP, so there is nothing that could be gained through it (no_new_privs).
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EPERM) {
      return errno_error(errno, "drop from the bounding set", fmt::format("capability {}", capability));
    }
  }
  return {};
}

Result<void> become(const Account& account) {
  if (::setgroups(0, nullptr) != 0) return errno_error(errno, "drop", "supplementary groups");
  if (::setresgid(account.gid, account.gid, account.gid) != 0)
    return errno_error(errno, "become group", std::to_string(account.gid));
  if (::setresuid(account.uid, account.uid, account.uid) != 0)
    return errno_error(errno, "become user", std::to_string(account.uid));
  return {};
}

Result<void> drop_capabilities() {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return errno_error(errno, "drop", "ambient capabilities");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2]{};
  if (::syscall(SYS_capset, &header, none) != 0) return errno_error(errno, "drop", "capabilities");
  return {};
}

}  // namespace

void raise_descriptor_limit(std::uint32_t at_most) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = at_most == 0 ? limit.rlim_max : std::min<rlim_t>(limit.rlim_max, at_most);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<void> confine(const Confinement& confinement) {
  const auto account = find_account(confinement.user);  // reads files: before the root directory is left
  if (!account) return account.error();
  if (!*account && ::geteuid() == 0) {
    return make_error("start", "proxy", "it must not run as root: name its account with --user");
  }
  if (auto entered = enter_root(confinement.root); !entered) return entered;
  if (auto dropped = drop_bounding_set(); !dropped) return dropped;
  if (*account) {
    if (auto became = become(**account); !became) return became;
  }
  if (auto dropped = drop_capabilities(); !dropped) return dropped;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error(errno, "set", "no_new_privs");
  // No core dump and no ptrace by the same account: clients' bytes stay in this process. Root still may (pidfd_getfd).
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_error(errno, "clear", "the dumpable flag");
  return refuse_system_calls();
}

}  // namespace causeway::proxy
