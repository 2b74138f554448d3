#pragma once
// Result<T>: a value, or an Error that names the operation, its subject and the cause.
#include <boost/system/result.hpp>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace causeway {

/// What went wrong, told to a person: "OPERATION SUBJECT: CAUSE".
struct Error {
  std::string operation;  ///< what was tried, as a verb phrase: "open", "attach cgroup/connect4"
  std::string subject;    ///< what it was tried on: a path, a map's name, an address
  std::string cause;      ///< why it failed, and what to do where that is known
  int code = 0;           ///< errno, or 0 where the cause is not a system call

  std::string message() const;
};

template <class T = void>
using Result = boost::system::result<T, Error>;

/// An Error from an errno value (`strerrordesc_np` gives the cause).
Error errno_error(int code, std::string_view operation, std::string_view subject);

/// An Error without an errno.
Error make_error(std::string_view operation, std::string_view subject, std::string_view cause);

/// Result::value() on an error ends here; only start-up code relies on it.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

}  // namespace causeway
