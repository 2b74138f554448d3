#pragma once
// Accounts of /etc/passwd (and whatever NSS adds), and becoming one for good.
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"

namespace causeway::agent {

struct Account {
  std::string name;
  std::string home;
  std::string shell;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  ///< primary and supplementary
};

/// By name or by number. Blocking (NSS).
Result<Account> find_account(const std::string& user);

/// The proxy's: `configured`, or where that is "" causeway-proxy, nobody, or bare uid and gid 65534. Never root.
Result<Account> proxy_account(const std::string& configured);

/// setgroups, setgid, setuid: afterwards there is no way back. For a child between fork and exec, or a program about to
/// exec; async-signal-safe.
bool become(const Account& account) noexcept;

}  // namespace causeway::agent
