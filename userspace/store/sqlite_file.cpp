#include "store/sqlite_file.h"

#include <cerrno>
#include <charconv>
#include <filesystem>

#include <fcntl.h>
#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace causeway::store {

Result<void> make_directory(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path();
  std::filesystem::path part;
  for (const auto& name : directory) {
    part /= name;
    if (::mkdir(part.c_str(), 0700) == 0 || errno == EEXIST) continue;
    auto failed = errno_error(errno, "make the store's directory", part.string());
    failed.cause += "; make it writable, or set another data directory";
    return failed;
  }
  return {};
}

Result<void> make_private_file(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file) return {};
  auto failed = errno_error(errno, "open the store", path);
  failed.cause += errno == EROFS ? "; remount it writable, or set another data directory"
                                 : "; the agent's user must be able to read and write it";
  return failed;
}

Result<Fd> lock_file(const std::string& path) {
  const std::string name = path + ".lock";
  Fd file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return errno_error(errno, "open the store's lock", name);
  char text[16] = {};
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return errno_error(errno, "lock the store", name);
    const auto length = ::pread(file.get(), text, sizeof text - 1, 0);
    return make_error("open the store", path,
                      fmt::format("process {} uses it; one agent a store: stop that one, or give this one another data "
                                  "directory",
                                  length > 0 ? text : "?"));
  }
  const auto end = std::to_chars(text, text + sizeof text, ::getpid()).ptr;
  const auto length = static_cast<std::size_t>(end - text);
  // The number only serves the message above; a full disk must not keep the agent from starting.
  if (::ftruncate(file.get(), 0) == 0) [[maybe_unused]]
    const auto written = ::pwrite(file.get(), text, length, 0);
  return file;
}

Error describe(int code, const char* sqlite_message, std::string_view operation, const std::string& path) {
  int system_code = 0;
  std::string cause;
  switch (code & 0xff) {
    case SQLITE_FULL:
      system_code = ENOSPC;
      cause = "the disk is full; free some space, nothing of this change was written";
      break;
    case SQLITE_IOERR:
      system_code = EIO;
      cause = fmt::format("reading or writing failed ({}, code {}); look at the disk and the kernel's log",
                          sqlite_message, code);
      break;
    case SQLITE_NOTADB:
      cause = "it is not a SQLite database; move it away to begin empty, or restore it from a copy";
      break;
    case SQLITE_CORRUPT:
      cause = "the database is damaged; restore it from a copy, or move it away to begin empty";
      break;
    case SQLITE_READONLY:
      system_code = EROFS;
      cause = "it can be read but not written; make the file and its directory writable";
      break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      system_code = EBUSY;
      cause = "another process has it open (a second agent, or sqlite3); close that one";
      break;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      cause =
          fmt::format("{}; the agent's user must be able to read and write the file and its directory", sqlite_message);
      break;
    default:
      cause = fmt::format("{} (SQLite code {})", sqlite_message, code);
  }
  auto error = make_error(operation, path, cause);
  error.code = system_code;
  return error;
}

}  // namespace causeway::store
