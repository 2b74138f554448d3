#include "base/nearest.h"

#include <gmock/gmock.h>

namespace causeway {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(EditDistance, CountsInsertDeleteReplaceSwap) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("abc", "abd"), 1U);
  EXPECT_EQ(edit_distance("abc", "acb"), 1U);
  EXPECT_EQ(edit_distance("abc", "xabc"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("API", "api"), 0U);
}

TEST(Nearest, FindsTheMeantOne) {
  EXPECT_EQ(nearest("user-scv", {"order-svc", "user-svc"}), "user-svc");
  EXPECT_EQ(nearest("level", {"data_dir"}), std::nullopt);
  EXPECT_EQ(nearest("x", {"y"}), std::nullopt);
  EXPECT_EQ(nearest("user", {"user-service.myapp.local"}), "user-service.myapp.local");
}

TEST(Nearest, FewAreOrderedBoundedAndUnique) {
  EXPECT_THAT(nearest_few("backend", {"backend2", "backend1", "backend1", "frontend"}, 2),
              ElementsAre("backend1", "backend2"));
  EXPECT_THAT(nearest_few("backend", {}, 3), IsEmpty());
}

TEST(Nearest, LongHostileNamesStayCheap) {
  const std::string huge(1 << 20, 'a');
  EXPECT_EQ(edit_distance(huge, huge), 0U);
}

}  // namespace
}  // namespace causeway
