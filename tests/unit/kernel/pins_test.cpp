// What can be said of pins without BPF; the rest is in tests/bpf.
#include "kernel/pins.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "kernel/plane.h"

namespace causeway::kernel {
namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char path[] = "/tmp/cw-pins-XXXXXX";
    if (::mkdtemp(path) != nullptr) path_ = path;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Pins, NothingIsThereToDetach) {
  const auto removed = detach("/tmp/cw-nothing-here");
  ASSERT_TRUE(removed);
  EXPECT_TRUE(removed->empty());
}

TEST(Pins, ADirectoryThatIsNoBpffsIsNeverEmptied) {
  const TemporaryDirectory directory;
  const std::string links = links_directory(directory.path());
  std::filesystem::create_directories(links);
  std::ofstream(links + "/precious") << "x";
  EXPECT_FALSE(detach(directory.path()));
  EXPECT_TRUE(std::filesystem::exists(links + "/precious"));
}

TEST(Pins, APinRootElsewhereIsRefusedWithAdvice) {
  const TemporaryDirectory directory;
  const auto ensured = ensure_bpffs(directory.path() + "/pins");
  ASSERT_FALSE(ensured);
  EXPECT_NE(ensured.error().message().find("mount -t bpf"), std::string::npos) << ensured.error().message();
}

TEST(Pins, UnpinningWhatIsGoneIsNoError) {
  EXPECT_TRUE(unpin("/tmp/cw-nothing-here"));
}

TEST(Pins, MapsOfAnotherVersionLieElsewhere) {
  EXPECT_EQ(maps_directory("/x").find("/x/maps-"), 0u);
  EXPECT_NE(maps_directory("/x"), links_directory("/x"));
}

}  // namespace
}  // namespace causeway::kernel
