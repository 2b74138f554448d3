#pragma once
#include <cstdint>
#include <string>

namespace causeway {

/// Random numbers are injected: tests seed them. Not thread-safe; one a thread.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;

  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound);
  /// `length` characters of [a-z0-9].
  std::string alphanumeric(std::size_t length);
  /// `length` characters of [0-9a-f].
  std::string hex(std::size_t length);
};

/// SplitMix64, seeded once from getrandom(2). For balancing and ids, not for keys. The increment is of the seed, too:
/// two generators that meet in one state (one in 2^64 for each pair of numbers) do not go on alike.
class FastRandom final : public Random {
 public:
  FastRandom();
  /// The same numbers for the same seed.
  explicit FastRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override;

 private:
  std::uint64_t state_;
  std::uint64_t increment_ = 0x9e3779b97f4a7c15u;  ///< odd
};

}  // namespace causeway
