#pragma once
#include <utility>

#include "base/result.h"

namespace causeway::kernel {

/// Keeps the first error of several steps that are all taken.
class FirstError {
 public:
  void operator+=(Result<void> step) {
    if (result_ && !step) result_ = std::move(step);
  }
  Result<void> result() const { return result_; }

 private:
  Result<void> result_;
};

}  // namespace causeway::kernel
