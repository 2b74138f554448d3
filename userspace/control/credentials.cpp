#include <cerrno>
#include <filesystem>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "control/api.h"

namespace causeway::control {
namespace {

constexpr std::size_t kLargest = 4096;

/// Not for ids: from the kernel's generator, a power of two symbols so that each is as likely.
template <std::size_t N>
Result<void> append_secret(std::string& out, const char (&alphabet)[N], std::size_t length) {
  static_assert(((N - 1) & (N - 2)) == 0, "a power of two symbols");
  std::string bytes(length, '\0');
  if (::getrandom(bytes.data(), length, 0) != static_cast<ssize_t>(length)) {
    return errno_error(errno, "read random bytes for", "the API's key pair");
  }
  for (const char c : bytes) out += alphabet[static_cast<unsigned char>(c) & (N - 2)];
  return {};
}

Result<Credentials> make_credentials() {
  Credentials made{"AKIA", ""};
  if (auto done = append_secret(made.access_key_id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16); !done) return done.error();
  constexpr const char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (auto done = append_secret(made.secret_access_key, kBase64, 40); !done) return done.error();
  return made;
}

Result<void> write_all(int fd, const std::string& text, const std::string& path) {
  std::size_t written = 0;
  while (written < text.size()) {
    const auto n = ::write(fd, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "write", path);
    written += static_cast<std::size_t>(n);
  }
  if (::fsync(fd) != 0) return errno_error(errno, "write", path);
  return {};
}

/// Whole or not at all: a crash in between leaves no half a file under the name.
Result<Credentials> create(const std::string& path) {
  auto made = make_credentials();
  if (!made) return made.error();
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return errno_error(errno, "create", fresh);
  const json::object document{{"AccessKeyId", made->access_key_id}, {"SecretAccessKey", made->secret_access_key}};
  auto written = write_all(file.get(), json::serialize(document) + "\n", fresh);
  // link() and not rename(): a file that came to stand there meanwhile is kept.
  if (written && ::link(fresh.c_str(), path.c_str()) != 0) written = errno_error(errno, "create", path);
  ::unlink(fresh.c_str());
  if (!written) return written.error();
  const Fd directory(::open(std::filesystem::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) ::fsync(directory.get());
  return made;
}

Error broken(const std::string& path, std::string_view what) {
  return make_error(
      "read the API's key pair", path,
      fmt::format("{}; restore it, or remove it and a new pair is made (clients then need `causeway env` again)",
                  what));
}

Result<Credentials> parse(const std::string& path, const std::string& text) {
  boost::system::error_code ec;
  const auto value = json::parse(text, ec);
  const auto* object = ec ? nullptr : value.if_object();
  if (object == nullptr) return broken(path, "not a JSON object");
  const auto member = [&](const char* name) -> std::string {
    const auto* found = object->if_contains(name);
    const auto* string = found == nullptr ? nullptr : found->if_string();
    return string == nullptr ? std::string() : std::string(string->data(), string->size());
  };
  Credentials credentials{member("AccessKeyId"), member("SecretAccessKey")};
  if (credentials.access_key_id.size() < 16)
    return broken(path, "AccessKeyId is missing or shorter than 16 characters");
  if (credentials.secret_access_key.size() < 32) {
    return broken(path, "SecretAccessKey is missing or shorter than 32 characters");
  }
  return credentials;
}

}  // namespace

Result<Credentials> load_or_create_credentials(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) return create(path);
    return errno_error(errno, "read the API's key pair", path);
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return errno_error(errno, "read the API's key pair", path);
  if (!S_ISREG(info.st_mode)) return broken(path, "not a regular file");
  if ((info.st_mode & 077) != 0 || (info.st_uid != ::geteuid() && info.st_uid != 0)) {
    return make_error(
        "read the API's key pair", path,
        fmt::format("others may have read it (mode {:04o}, owner {}): remove it and a new pair is made, or, "
                    "if nobody has, `chmod 600` and `chown root` it",
                    info.st_mode & 07777, info.st_uid));
  }
  std::string text(kLargest, '\0');
  const auto n = ::read(file.get(), text.data(), text.size());
  if (n < 0) return errno_error(errno, "read the API's key pair", path);
  text.resize(static_cast<std::size_t>(n));
  return parse(path, text);
}

}  // namespace causeway::control
