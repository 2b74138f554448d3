#include "base/random.h"

#include <cstdlib>
#include <string_view>

#include <sys/random.h>

namespace causeway {

std::uint64_t Random::below(std::uint64_t bound) {
  // Multiply-shift (Lemire 2019); the bias is below 2^-32 for the sizes used here.
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
}

static std::string pick(Random& random, std::string_view alphabet, std::size_t length) {
  std::string out(length, '\0');
  for (char& c : out) c = alphabet[random.below(alphabet.size())];
  return out;
}

std::string Random::alphanumeric(std::size_t length) {
  return pick(*this, "abcdefghijklmnopqrstuvwxyz0123456789", length);
}

std::string Random::hex(std::size_t length) {
  return pick(*this, "0123456789abcdef", length);
}

FastRandom::FastRandom() : state_(0) {
  std::uint64_t seed[2];
  if (::getrandom(seed, sizeof seed, 0) != sizeof seed)
    std::abort();  // only possible before the kernel's pool is ready
  state_ = seed[0];
  increment_ = seed[1] | 1;
}

std::uint64_t FastRandom::next() {
  // SplitMix64 (Steele, Lea, Flood 2014).
  std::uint64_t z = (state_ += increment_);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace causeway
