#include "cli/client.h"

#include <cerrno>
#include <charconv>
#include <cstring>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxAnswer = 64 * 1024 * 1024;

Error no_agent(const std::string& path, int code) {
  Error error = errno_error(code, "reach the agent at", path);
  if (code == ENOENT || code == ECONNREFUSED) {
    error.cause =
        "the agent is not running here; start it with \"systemctl start causewayd\", or as root with \"causewayd\" "
        "(an agent with another configuration: --config FILE or --socket PATH)";
  } else if (code == EACCES || code == EPERM) {
    error.cause = "only root may ask the agent; try sudo";
  }
  return error;
}

Result<Fd> dial(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return make_error("reach the agent at", path, "no path of a socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "reach the agent at", path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return no_agent(path, errno);
  return fd;
}

Result<void> send_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "ask the agent at", path);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

/// Everything until the agent closes.
Result<void> read_all(int fd, std::string& out, Clock::time_point deadline, const std::string& path) {
  char buffer[65536];
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{fd, POLLIN, 0};
    const int polled = ::poll(&ready, 1, static_cast<int>(std::max<long>(0, left)));
    if (polled < 0 && errno == EINTR) continue;
    if (polled == 0)
      return make_error("ask the agent at", path, "it does not answer; its log may tell why (journalctl -u causewayd)");
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "hear the agent at", path);
    if (n == 0) return {};
    out.append(buffer, static_cast<std::size_t>(n));
    if (out.size() > kMaxAnswer) return make_error("hear the agent at", path, "its answer is larger than 64 MiB");
  }
}

/// "HTTP/1.1 200 OK", headers, body up to the end of the connection.
Result<json::object> parse_answer(const std::string& text, std::string_view target, const std::string& path) {
  const auto strange = [&](std::string_view what) { return make_error("hear the agent at", path, what); };
  const std::size_t head = text.find("\r\n\r\n");
  unsigned status = 0;
  if (head == std::string::npos || !text.starts_with("HTTP/1."))
    return strange("this is no answer of the agent; is the path right?");
  std::from_chars(text.data() + 9, text.data() + std::min<std::size_t>(text.size(), 12), status);
  boost::system::error_code bad;
  const json::value value = json::parse(std::string_view(text).substr(head + 4), bad);
  if (bad || !value.is_object())
    return strange(fmt::format("its answer to {} (status {}) is not whole", target, status));
  const json::object& object = value.get_object();
  if (status >= 200 && status < 300) return {boost::system::in_place_value, object};
  const json::value* message = object.if_contains("error");
  Error error;
  error.operation = "";
  error.cause = message != nullptr && message->is_string()
                    ? std::string(message->get_string())
                    : fmt::format("the agent answers {} with status {}", target, status);
  return error;
}

}  // namespace

Result<json::object> Client::ask(std::string_view method, std::string_view target, std::string_view body) const {
  auto fd = dial(path_);
  if (!fd) return fd.error();
  const std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: "
      "{}\r\n\r\n{}",
      method, target, body.size(), body);
  if (const auto sent = send_all(fd->get(), request, path_); !sent) return sent.error();
  std::string text;
  if (const auto read = read_all(fd->get(), text, Clock::now() + timeout_, path_); !read) return read.error();
  return parse_answer(text, target, path_);
}

Result<json::object> Client::get(std::string_view target) const {
  return ask("GET", target, "");
}

Result<json::object> Client::post(std::string_view target, const json::object& body) const {
  return ask("POST", target, json::serialize(body));
}

std::string url_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace causeway::cli
