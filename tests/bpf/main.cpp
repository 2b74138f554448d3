#include <gtest/gtest.h>

#include "host.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!testing::GTEST_FLAG(list_tests) && !causeway::test::prepare_process()) return 1;
  return RUN_ALL_TESTS();
}
