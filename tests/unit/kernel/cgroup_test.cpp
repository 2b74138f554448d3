#include "kernel/cgroup.h"

#include <sstream>

#include <gtest/gtest.h>

namespace causeway::kernel {
namespace {

struct Case {
  const char* name;
  const char* mountinfo;
  const char* found;
};

TEST(Cgroup2Mount, IsFoundWhereverItIs) {
  for (const Case& c : {
           Case{"unified", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
                "/sys/fs/cgroup"},
           Case{"hybrid",
                "30 23 0:26 / /sys/fs/cgroup ro shared:4 - tmpfs tmpfs ro\n"
                "31 30 0:27 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n"
                "32 30 0:28 / /sys/fs/cgroup/systemd rw shared:6 - cgroup cgroup rw,name=systemd\n",
                "/sys/fs/cgroup/unified"},
           Case{"no tags, several tags",
                "30 23 0:26 / /a rw - tmpfs x rw\n31 30 0:27 / /b rw shared:5 master:2 - cgroup2 none rw\n", "/b"},
           Case{"a part first",
                "31 30 0:27 /docker/x /part rw - cgroup2 none rw\n32 30 0:27 / /whole rw - cgroup2 none rw\n",
                "/whole"},
           Case{"only a part", "31 30 0:27 /docker/x /part rw - cgroup2 none rw\n", "/part"},
           Case{"a path with a space", "31 30 0:27 / /mnt/c\\040v2\\134 rw - cgroup2 none rw\n", "/mnt/c v2\\"},
           Case{"v1 only", "32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup2 rw\n", ""},
           Case{"damaged", "32 30\n\n - cgroup2\n", ""},
           Case{"empty", "", ""},
       }) {
    std::istringstream text(c.mountinfo);
    EXPECT_EQ(cgroup2_mount_in(text), c.found) << c.name;
  }
}

TEST(IsBelow, ComparesWholeComponents) {
  EXPECT_TRUE(is_below("/a/b", "/a"));
  EXPECT_TRUE(is_below("/a", "/a"));
  EXPECT_TRUE(is_below("/a/b/../c", "/a"));
  EXPECT_FALSE(is_below("/ab", "/a"));
  EXPECT_FALSE(is_below("/a/../b", "/a"));
  EXPECT_FALSE(is_below("/", "/a"));
}

TEST(OpenCgroup, RefusesWhatIsNone) {
  EXPECT_NE(open_cgroup("/nonexistent").error().message().find("/nonexistent"), std::string::npos);
  EXPECT_NE(open_cgroup("/tmp").error().message().find("not a cgroup v2"), std::string::npos);
}

}  // namespace
}  // namespace causeway::kernel
