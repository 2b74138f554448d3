#pragma once
// The files around a SQLite database: directory, lock, and errors told to a person.
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::store {

/// Makes the directory that holds `path` (0700) where it is absent, its parents too.
Result<void> make_directory(const std::string& path);
/// Makes `path` with mode 0600 where it is absent.
Result<void> make_private_file(const std::string& path);
/// Takes PATH.lock (flock) for this process's life; the error names the process that has it.
Result<Fd> lock_file(const std::string& path);
/// An Error of a SQLite (extended) result code, with what to do about it.
Error describe(int code, const char* sqlite_message, std::string_view operation, const std::string& path);

}  // namespace causeway::store
