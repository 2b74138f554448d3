#pragma once
// The kinds of values that configuration keys take: each reads a TOML value into a field and shows the field as TOML.
#include "agent/config_keys.h"

namespace causeway::agent::types {

template <class T>
using Field = T& (*)(Config&);

/// The part of a ConfigKey that depends on the kind of value.
struct Kind {
  std::string expects;
  decltype(ConfigKey::set) set;
  decltype(ConfigKey::show) show;
};

enum class Empty { refused, allowed };

Kind absolute_path(Field<std::string> field, std::size_t max_length, Empty empty);
Kind relative_path(Field<std::string> field);
/// 1..max_length characters of `alphabet`.
Kind word(Field<std::string> field, std::string expects, std::string_view alphabet, std::size_t min_length,
          std::size_t max_length);
Kind boolean(Field<bool> field);
Kind integer(std::uint64_t min, std::uint64_t max, std::function<void(Config&, std::uint64_t)> put,
             std::function<std::uint64_t(Config&)> get, bool or_zero = false);
Kind address(Field<SocketAddress> field, int family);  ///< AF_INET, AF_INET6, AF_UNSPEC
Kind resolvers(Field<std::vector<SocketAddress>> field);
Kind prefix(Field<IpPrefix> field, int family, unsigned min_length, unsigned max_length);
/// An absolute path, `word`, or "".
Kind path_or_word(Field<std::string> field, std::size_t max_length, std::string_view word);
Kind access_log_format(Field<AccessLogFormat> field);  ///< "text" or "json"
Kind log_level(Field<log::Level> field);

}  // namespace causeway::agent::types
