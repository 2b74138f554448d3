#include "base/shared_map.h"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/shared_vector.h"

namespace causeway {
namespace {

using Numbers = SharedMap<int, std::string>;

std::map<int, std::string> content(const Numbers& map) {
  return {map.begin(), map.end()};
}

struct Difference {
  int key;
  std::string was, is;
  bool operator==(const Difference&) const = default;
};

std::vector<Difference> differences(const Numbers& before, const Numbers& after) {
  std::vector<Difference> all;
  for_each_difference(before, after, [&all](int key, const std::string* was, const std::string* is) {
    all.push_back({key, was ? *was : "-", is ? *is : "-"});
  });
  return all;
}

std::vector<Difference> differences(const std::map<int, std::string>& before, const std::map<int, std::string>& after) {
  std::map<int, Difference> all;
  for (const auto& [key, value] : before) all[key] = {key, value, "-"};
  for (const auto& [key, value] : after) {
    auto& row = all.try_emplace(key, Difference{key, "-", "-"}).first->second;
    row.is = value;
  }
  std::vector<Difference> out;
  for (const auto& [key, row] : all) {
    if (row.was != row.is) out.push_back(row);
  }
  return out;
}

TEST(SharedMap, IsAMap) {
  Numbers map;
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.begin(), map.end());
  EXPECT_EQ(map.find(1), map.end());
  EXPECT_EQ(map.erase(1), 0u);
  map[2] = "two";
  map[1] = "one";
  map[2] = "zwei";
  EXPECT_EQ(map.size(), 2u);
  EXPECT_EQ(map.at(2), "zwei");
  EXPECT_EQ(map.begin()->second, "one");
  EXPECT_THROW(map.at(3), std::out_of_range);
  EXPECT_EQ(map.erase(1), 1u);
  EXPECT_FALSE(map.contains(1));
  EXPECT_EQ(map.erase(2), 1u);
  EXPECT_EQ(map.begin(), map.end());
}

TEST(SharedMap, TakesAValueThatItsKeyIsReadFrom) {
  struct Named {
    int key;
  };
  SharedMap<int, std::shared_ptr<Named>> map;
  auto value = std::make_shared<Named>(Named{7});
  map[value->key] = std::move(value);
  EXPECT_EQ(map.at(7)->key, 7);
}

// Against std::map, with copies on the way whose differences and contents must stay what they were.
TEST(SharedMap, FollowsAnyChangesAndTellsThem) {
  std::mt19937 random(1);
  Numbers map;
  std::map<int, std::string> model;
  std::vector<std::pair<Numbers, std::map<int, std::string>>> copies{{map, model}};
  for (int step = 0; step < 20'000; ++step) {
    const int key = static_cast<int>(random() % 1'500);
    const bool shrinks = step / 4'000 % 2 == 1;
    if (random() % 10 < (shrinks ? 7u : 3u)) {
      EXPECT_EQ(map.erase(key), model.erase(key));
    } else {
      const auto value = std::to_string(random() % 3);
      map.set(key, value);
      model[key] = value;
    }
    ASSERT_EQ(map.size(), model.size());
    if (step % 500 == 0) copies.emplace_back(map, model);
  }
  copies.emplace_back(map, model);
  for (const auto& [copy, content_then] : copies) {
    ASSERT_EQ(content(copy), content_then);
    EXPECT_EQ(copy == map, content_then == model);
    EXPECT_EQ(differences(copy, map), differences(content_then, model));
    EXPECT_EQ(differences(map, copy), differences(model, content_then));
    for (int key = -1; key < 1'501; ++key) ASSERT_EQ(copy.contains(key), content_then.contains(key)) << key;
  }
}

TEST(SharedMap, EqualContentInOtherPiecesIsEqual) {
  Numbers up, down;
  for (int i = 0; i < 1'000; ++i) up.set(i, "x");
  for (int i = 1'000; i-- > 0;) down.set(i, "x");
  EXPECT_EQ(up, down);
  EXPECT_TRUE(differences(up, down).empty());
  std::vector<Numbers::value_type> sorted(up.begin(), up.end());
  EXPECT_EQ(Numbers(sorted), up);
}

TEST(SharedMap, ADifferenceLooksAtWhatChangedAlone) {
  struct Counted {
    int value = 0;
    int* compared = nullptr;
    bool operator==(const Counted& other) const {
      ++*compared;
      return value == other.value;
    }
  };
  int compared = 0;
  SharedMap<int, Counted> map;
  for (int i = 0; i < 10'000; ++i) map.set(i, {i, &compared});
  auto next = map;
  next.set(5'000, {1, &compared});
  int told = 0;
  for_each_difference(map, next, [&told](int, const Counted*, const Counted*) { ++told; });
  EXPECT_EQ(told, 1);
  EXPECT_LE(compared, 64);
}

TEST(SharedVector, CopiesAreOneUntilOneChanges) {
  SharedVector<int> a{1, 2, 3};
  const auto b = a;
  EXPECT_TRUE(a.same_as(b));
  a.change([](std::vector<int>& all) { all.push_back(4); });
  EXPECT_FALSE(a.same_as(b));
  EXPECT_EQ(b.size(), 3u);
  EXPECT_EQ(a.size(), 4u);
  EXPECT_FALSE(a == b);
  EXPECT_EQ(b, (SharedVector<int>{1, 2, 3}));
  EXPECT_TRUE(SharedVector<int>().empty());
}

}  // namespace
}  // namespace causeway
