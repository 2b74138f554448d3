#include "agent/account.h"

#include <cerrno>
#include <charconv>

#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

namespace causeway::agent {
namespace {

constexpr uid_t kOverflowId = 65534;  // the kernel's "nobody", whatever /etc/passwd says
constexpr int kMaxGroups = 65536;     // NGROUPS_MAX

std::vector<gid_t> groups_of(const std::string& name, gid_t primary) {
  int count = 32;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  while (::getgrouplist(name.c_str(), primary, groups.data(), &count) < 0) {
    if (static_cast<std::size_t>(count) <= groups.size()) count = static_cast<int>(groups.size()) * 2;
    if (count > kMaxGroups) return {primary};
    groups.resize(static_cast<std::size_t>(count));
  }
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

}  // namespace

Result<Account> find_account(const std::string& user) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  int error = ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    uid_t uid = 0;
    const auto [end, bad] = std::from_chars(user.data(), user.data() + user.size(), uid);
    if (bad == std::errc() && end == user.data() + user.size() && !user.empty()) {
      error = ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
    }
  }
  if (found == nullptr) {
    // Names that do not exist come back as 0 or one of several errors, depending on the NSS module (getpwnam_r(3)).
    if (error != 0 && error != ENOENT && error != ESRCH && error != EBADF && error != EPERM) {
      return errno_error(error, "find user", user);
    }
    return make_error("find user", user, "there is no such account");
  }
  Account account;
  account.name = entry.pw_name;
  account.home = entry.pw_dir;
  account.shell = entry.pw_shell;
  account.uid = entry.pw_uid;
  account.gid = entry.pw_gid;
  account.groups = groups_of(account.name, account.gid);
  return account;
}

Result<Account> proxy_account(const std::string& configured) {
  if (!configured.empty()) {
    auto account = find_account(configured);
    if (!account) return account.error();
    if (account->uid == 0) {
      return make_error("run the proxy as", configured,
                        "the proxy reads strangers' bytes and never runs as root; set "
                        "proxy.user to an account of its own");
    }
    return account;
  }
  for (const char* name : {"causeway-proxy", "nobody"}) {
    if (auto account = find_account(name); account && account->uid != 0) return account;
  }
  Account bare;
  bare.name = "65534";
  bare.home = "/";
  bare.uid = kOverflowId;
  bare.gid = kOverflowId;
  bare.groups = {kOverflowId};
  return bare;
}

bool become(const Account& account) noexcept {
  return ::setgroups(account.groups.size(), account.groups.data()) == 0 &&
         ::setresgid(account.gid, account.gid, account.gid) == 0 &&
         ::setresuid(account.uid, account.uid, account.uid) == 0;
}

}  // namespace causeway::agent
