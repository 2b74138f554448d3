// Runs a fuzz target over its seeds and over deterministic mutations of them: replay CORPUS_DIRECTORY [ROUNDS].
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

/// What parsers trip over, beside random bytes.
const std::vector<std::string> kTokens{"\r\n",
                                       "\n",
                                       "\r",
                                       "\r\n\r\n",
                                       " ",
                                       "\t",
                                       ":",
                                       ",",
                                       ";",
                                       "0",
                                       "00000000",
                                       "ffffffff",
                                       "chunked",
                                       "Transfer-Encoding: chunked\r\n",
                                       "Content-Length: 5\r\n",
                                       "Connection: close\r\n",
                                       "Host: a\r\n",
                                       "HTTP/1.1",
                                       "http://",
                                       "0\r\n\r\n"};

std::vector<std::string> read_seeds(const std::string& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return seeds;
}

void mutate(std::string& text, const std::vector<std::string>& seeds, causeway::Random& random) {
  const std::size_t at = random.below(text.size() + 1);
  const std::size_t length = std::min<std::size_t>(text.size() - at, random.below(8));
  switch (random.below(6)) {
    case 0:
      text.insert(at, 1, static_cast<char>(random.below(256)));
      break;
    case 1:
      text.erase(at, length);
      break;
    case 2:
      if (at < text.size()) text[at] = static_cast<char>(random.below(256));
      break;
    case 3:
      text.insert(at, kTokens[random.below(kTokens.size())]);
      break;
    case 4:
      text.insert(random.below(text.size() + 1), text.substr(at, length * 4));
      break;
    default: {
      const std::string& other = seeds[random.below(seeds.size())];
      text = text.substr(0, at) + other.substr(random.below(other.size() + 1));
    }
  }
  if (text.size() > 8192) text.resize(8192);
}

/// The target sees exactly its bytes: behind them ASan finds every read too far.
void run(const std::string& text) {
  const auto copy = std::make_unique<std::uint8_t[]>(text.size());
  std::copy(text.begin(), text.end(), copy.get());
  LLVMFuzzerTestOneInput(copy.get(), text.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY [ROUNDS]\n", argv[0]);
    return 2;
  }
  const std::vector<std::string> seeds = read_seeds(argv[1]);
  if (seeds.empty()) {
    std::fprintf(stderr, "%s: no seeds in %s\n", argv[0], argv[1]);
    return 1;
  }
  run("");
  for (const std::string& seed : seeds) run(seed);
  const long rounds = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 50'000;
  causeway::FastRandom random(42);
  for (long i = 0; i < rounds; ++i) {
    std::string text = seeds[random.below(seeds.size())];
    for (std::uint64_t n = 1 + random.below(6); n > 0; --n) mutate(text, seeds, random);
    run(text);
  }
  std::printf("%zu seeds and %ld mutations held\n", seeds.size(), rounds);
  return 0;
}
