#include "agent/config_types.h"

#include <fmt/core.h>
#include <sys/socket.h>

#include "base/shown.h"

namespace causeway::agent {

std::string describe(const toml::node& value) {
  if (const auto* text = value.as_string()) {
    return fmt::format("the string \"{}\"", shown(text->get()));
  }
  if (const auto* number = value.as_integer()) return fmt::format("the integer {}", number->get());
  if (const auto* real = value.as_floating_point()) return fmt::format("the number {}", real->get());
  if (const auto* flag = value.as_boolean()) return flag->get() ? "true" : "false";
  if (value.is_array()) return "an array";
  if (value.is_table()) return "a table";
  return "a date or time";
}

namespace types {
namespace {

using Problem = std::optional<std::string>;

Problem wrong(const std::string& expects, const toml::node& value) {
  return fmt::format("must be {}, not {}", expects, describe(value));
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

bool plain(std::string_view text) {  // neither control characters nor NUL: they end in shells, logs and C strings
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

/// True for "a/b": no leading slash, no empty, "." or ".." component.
bool clean_components(std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
  return false;
}

Kind text_kind(Field<std::string> field, std::string expects, std::function<bool(std::string_view)> accepts) {
  Kind kind;
  kind.expects = std::move(expects);
  kind.set = [field, accepts = std::move(accepts), what = kind.expects](const toml::node& value,
                                                                        Config& config) -> Problem {
    const auto* text = value.as_string();
    if (text == nullptr || !accepts(text->get())) return wrong(what, value);
    field(config) = text->get();
    return std::nullopt;
  };
  kind.show = [field](Config& config) { return toml_string(field(config)); };
  return kind;
}

bool family_fits(const IpAddress& ip, int family) {
  return family == AF_UNSPEC || (family == AF_INET) == ip.is_v4();
}

}  // namespace

Kind absolute_path(Field<std::string> field, std::size_t max_length, Empty empty) {
  std::string expects = fmt::format("an absolute path of at most {} bytes without \"..\"", max_length);
  return text_kind(field, std::move(expects), [max_length, empty](std::string_view path) {
    if (path.empty()) return empty == Empty::allowed;
    if (path[0] != '/' || path.size() > max_length || !plain(path)) return false;
    return clean_components(path.substr(1));
  });
}

Kind path_or_word(Field<std::string> field, std::size_t max_length, std::string_view word) {
  std::string expects =
      fmt::format("an absolute path of at most {} bytes without \"..\", \"{}\", or \"\"", max_length, word);
  return text_kind(field, std::move(expects), [max_length, word](std::string_view path) {
    if (path.empty() || path == word) return true;
    return path[0] == '/' && path.size() <= max_length && plain(path) && clean_components(path.substr(1));
  });
}

Kind relative_path(Field<std::string> field) {
  return text_kind(field, "a relative path of at most 128 bytes without \"..\"",
                   [](std::string_view path) { return path.size() <= 128 && plain(path) && clean_components(path); });
}

Kind word(Field<std::string> field, std::string expects, std::string_view alphabet, std::size_t min_length,
          std::size_t max_length) {
  return text_kind(field, std::move(expects), [=](std::string_view text) {
    return text.size() >= min_length && text.size() <= max_length &&
           text.find_first_not_of(alphabet) == std::string_view::npos;
  });
}

Kind boolean(Field<bool> field) {
  Kind kind;
  kind.expects = "true or false";
  kind.set = [field, what = kind.expects](const toml::node& value, Config& config) -> Problem {
    const auto* flag = value.as_boolean();
    if (flag == nullptr) return wrong(what, value);
    field(config) = flag->get();
    return std::nullopt;
  };
  kind.show = [field](Config& config) { return std::string(field(config) ? "true" : "false"); };
  return kind;
}

Kind integer(std::uint64_t min, std::uint64_t max, std::function<void(Config&, std::uint64_t)> put,
             std::function<std::uint64_t(Config&)> get, bool or_zero) {
  Kind kind;
  kind.expects = fmt::format("{}an integer from {} to {}", or_zero ? "0, or " : "", min, max);
  kind.set = [=, what = kind.expects](const toml::node& value, Config& config) -> Problem {
    const auto* number = value.as_integer();
    if (number == nullptr || number->get() < 0) return wrong(what, value);
    const auto wanted = static_cast<std::uint64_t>(number->get());
    if ((wanted < min || wanted > max) && !(or_zero && wanted == 0)) return wrong(what, value);
    put(config, wanted);
    return std::nullopt;
  };
  kind.show = [get = std::move(get)](Config& config) { return fmt::format("{}", get(config)); };
  return kind;
}

Kind address(Field<SocketAddress> field, int family) {
  Kind kind;
  kind.expects = family == AF_INET    ? "an IPv4 address and port like \"127.0.0.1:7070\""
                 : family == AF_INET6 ? "an IPv6 address and port like \"[::1]:7070\""
                                      : "an address and port like \"127.0.0.1:7070\" or \"[::1]:7070\"";
  kind.set = [field, family, what = kind.expects](const toml::node& value, Config& config) -> Problem {
    const auto* text = value.as_string();
    const auto parsed = text == nullptr ? std::nullopt : SocketAddress::parse(text->get());
    if (!parsed || parsed->port == 0 || !family_fits(parsed->ip, family)) return wrong(what, value);
    field(config) = *parsed;
    return std::nullopt;
  };
  kind.show = [field](Config& config) { return toml_string(field(config).to_string()); };
  return kind;
}

Kind resolvers(Field<std::vector<SocketAddress>> field) {
  Kind kind;
  kind.expects = "an array of at most 8 addresses like \"192.0.2.53\" or \"192.0.2.53:53\"";
  kind.set = [field, what = kind.expects](const toml::node& value, Config& config) -> Problem {
    const auto* list = value.as_array();
    if (list == nullptr || list->size() > 8) return wrong(what, value);
    std::vector<SocketAddress> out;
    for (const toml::node& item : *list) {
      const auto* text = item.as_string();
      if (text == nullptr) return wrong(what, item);
      auto parsed = SocketAddress::parse(text->get());
      if (const auto ip = IpAddress::parse(text->get())) parsed = SocketAddress{*ip, 53};
      if (!parsed || parsed->port == 0) return wrong(what, item);
      out.push_back(*parsed);
    }
    field(config) = std::move(out);
    return std::nullopt;
  };
  kind.show = [field](Config& config) {
    std::string out;
    for (const SocketAddress& resolver : field(config)) out += (out.empty() ? "" : ", ") + toml_string(resolver.to_string());
    return "[" + out + "]";
  };
  return kind;
}

Kind prefix(Field<IpPrefix> field, int family, unsigned min_length, unsigned max_length) {
  Kind kind;
  kind.expects = fmt::format("an {} range like \"{}\" with /{} to /{} and zero bits behind it",
                             family == AF_INET ? "IPv4" : "IPv6", family == AF_INET ? "127.255.0.0/16" : "100::/64",
                             min_length, max_length);
  kind.set = [=, what = kind.expects](const toml::node& value, Config& config) -> Problem {
    const auto* text = value.as_string();
    const auto parsed = text == nullptr ? std::nullopt : IpPrefix::parse(text->get());
    if (!parsed || !family_fits(parsed->base, family) || parsed->length < min_length || parsed->length > max_length) {
      return wrong(what, value);
    }
    field(config) = *parsed;
    return std::nullopt;
  };
  kind.show = [field](Config& config) { return toml_string(field(config).to_string()); };
  return kind;
}

Kind access_log_format(Field<AccessLogFormat> field) {
  Kind kind;
  kind.expects = "\"text\" or \"json\"";
  kind.set = [field, what = kind.expects](const toml::node& value, Config& config) -> Problem {
    const auto* text = value.as_string();
    if (text == nullptr || (text->get() != "text" && text->get() != "json")) return wrong(what, value);
    field(config) = text->get() == "json" ? AccessLogFormat::json : AccessLogFormat::text;
    return std::nullopt;
  };
  kind.show = [field](Config& config) {
    return toml_string(field(config) == AccessLogFormat::json ? "json" : "text");
  };
  return kind;
}

Kind log_level(Field<log::Level> field) {
  Kind kind;
  kind.expects = "\"debug\", \"info\", \"warn\" or \"error\"";
  kind.set = [field, what = kind.expects](const toml::node& value, Config& config) -> Problem {
    const auto* text = value.as_string();
    const auto level = text == nullptr ? std::nullopt : log::level_of(text->get());
    if (!level) return wrong(what, value);
    field(config) = *level;
    return std::nullopt;
  };
  kind.show = [field](Config& config) { return toml_string(log::name_of(field(config))); };
  return kind;
}

}  // namespace types
}  // namespace causeway::agent
