// The choice of an endpoint three times over: by the BPF program, by the same lines compiled for user space, and by
// plain arithmetic in numbers wide enough for it. Cases are random, with a liking for the ends of the ranges.
//   CAUSEWAY_FUZZ_CASES  how many; CAUSEWAY_FUZZ_SEED  the first one's seed (a failure says its own)
#include <cstdlib>
#include <cstring>
#include <memory>

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "balance.skel.h"
#include "balance_case.h"
#include "base/random.h"

namespace causeway::test {
namespace {

using Wide = unsigned __int128;
constexpr std::uint64_t kBalanceCases = 10'000'000;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// An array map of the program, as memory. Padded to 8 bytes an entry, as the kernel lays it out.
template <class T>
class Shared {
  static_assert(sizeof(T) % 8 == 0);

 public:
  explicit Shared(const bpf_map* map)
      : memory_(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0)) {}
  ~Shared() { ::munmap(memory_, kBytes); }
  Shared(const Shared&) = delete;
  T* get() const { return memory_ == MAP_FAILED ? nullptr : static_cast<T*>(memory_); }

 private:
  static constexpr std::size_t kBytes = sizeof(T) * BALANCE_BATCH;
  void* memory_;
};

/// Any number of `bits` bits; one time in four close to an end of its range.
std::uint64_t number(Random& random, unsigned bits) {
  const std::uint64_t any = random.next();
  const std::uint64_t most = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  switch (any >> 60) {
    case 0:
      return any & 3;
    case 1:
      return most - (any & 3);
    case 2:
      return (std::uint64_t{1} << (any % bits)) & most;
    case 3:
      return (any >> 8) % 100;
    default:
      return random.next() & most;
  }
}

std::uint32_t number32(Random& random) {
  return static_cast<std::uint32_t>(number(random, 32));
}

balance_case make_case(Random& random) {
  balance_case made{};
  for (__u64* each : {&made.point, &made.turn, &made.client, &made.seed, &made.now, &made.run.since})
    *each = number(random, 64);
  for (__u32* each : {&made.random, &made.other_random, &made.keep, &made.other, &made.attempt, &made.known, &made.fit,
                      &made.first_active, &made.second_active, &made.ejections, &made.out, &made.window_ms,
                      &made.time_ms, &made.max_time_ms, &made.run.count})
    *each = number32(random);
  made.count = std::max(number32(random), 1u);
  made.all = static_cast<__u32>(number(random, 24));  // times a percentage it fits 32 bits
  made.percent = static_cast<__u32>(random.below(101));
  made.first_weight = static_cast<__u32>(std::max<std::uint64_t>(number(random, 16), 1));
  made.second_weight = static_cast<__u32>(std::max<std::uint64_t>(number(random, 16), 1));
  made.failures = static_cast<__u8>(1 + random.below(100));
  made.ejection_percent = static_cast<__u8>(random.below(101));
  if (random.below(2) == 0) made.run.count = static_cast<__u32>(random.below(101));
  if (random.below(2) == 0)
    made.now = made.run.since + random.below(2) * made.window_ms * CW_NS_PER_MS + random.below(3);
  return made;
}

std::uint32_t part_of(std::uint32_t random, std::uint32_t count) {
  return static_cast<std::uint32_t>(Wide{random} * count / (Wide{1} << 32));
}

/// As the functions' comments put it.
balance_answer plain_answer(const balance_case& of) {
  balance_answer is{};
  is.random = part_of(of.random, of.count);
  is.round_robin = static_cast<__u32>(of.turn - of.turn / of.count * of.count);
  is.first = is.random;
  if (of.count > 1) {
    is.second = part_of(of.other_random, of.count - 1);
    if (is.second >= is.first) ++is.second;
  }
  // (first + 1) / its weight <= (second + 1) / its weight
  is.takes_first = Wide{of.first_active + std::uint64_t{1}} * of.second_weight <=
                   Wide{of.second_active + std::uint64_t{1}} * of.first_weight;
  const Wide place = (Wide{of.point} * of.count) >> 32;
  is.slot = static_cast<__u32>(place >> 32);
  is.rest = static_cast<__u32>(place);
  is.weighted = is.rest < of.keep ? is.slot : of.other;
  is.point = static_cast<__u64>(Wide{of.turn} * 0x9e3779b97f4a7c15ull);
  const auto splitmix = [](std::uint64_t state) {  // its generator adds the golden ratio first
    return FastRandom(state - 0x9e3779b97f4a7c15u).next();
  };
  is.mix = splitmix(of.client);
  is.hash = splitmix(splitmix(splitmix(of.seed) + of.point) + of.client);
  is.lookup = part_of(static_cast<std::uint32_t>(splitmix(of.client + of.attempt) >> 32), of.count);
  is.stays_local = of.fit > 0 && Wide{of.fit} * 100 >= Wide{of.known} * of.percent;
  const bool is_new = of.run.count == 0 || of.now - of.run.since > of.window_ms * CW_NS_PER_MS;
  is.since = is_new ? of.now : of.run.since;
  is.runs = is_new ? 1 : std::max(of.run.count, std::min<std::uint32_t>(of.run.count, of.failures - 1u) + 1);
  is.failed = is.runs >= of.failures;
  const Wide longest = std::max(of.time_ms, of.max_time_ms);
  const Wide doubled = Wide{of.time_ms} << std::min(of.ejections, 20u);
  is.time_out = static_cast<__u64>(std::min(doubled, longest) * CW_NS_PER_MS);
  is.remembered = static_cast<__u64>(longest * CW_NS_PER_MS);
  is.has_room = of.out < of.all * std::uint64_t{of.ejection_percent} / 100;
  return is;
}

std::string describe(const balance_answer& of) {
  std::string text;
  for (const auto& [name, value] :
       std::initializer_list<std::pair<const char*, std::uint64_t>>{{"random", of.random},
                                                                    {"round_robin", of.round_robin},
                                                                    {"first", of.first},
                                                                    {"second", of.second},
                                                                    {"takes_first", of.takes_first},
                                                                    {"slot", of.slot},
                                                                    {"rest", of.rest},
                                                                    {"weighted", of.weighted},
                                                                    {"point", of.point},
                                                                    {"mix", of.mix},
                                                                    {"hash", of.hash},
                                                                    {"lookup", of.lookup},
                                                                    {"stays_local", of.stays_local},
                                                                    {"failed", of.failed},
                                                                    {"runs", of.runs},
                                                                    {"since", of.since},
                                                                    {"time_out", of.time_out},
                                                                    {"remembered", of.remembered},
                                                                    {"has_room", of.has_room}})
    text += std::string(" ") + name + "=" + std::to_string(value);
  return text;
}

bool same(const balance_answer& a, const balance_answer& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

struct Destroy {
  void operator()(balance_bpf* skeleton) const { balance_bpf__destroy(skeleton); }
};

class BalanceDifferential : public testing::Test {
 protected:
  void SetUp() override {
    skeleton_.reset(balance_bpf__open_and_load());
    ASSERT_TRUE(skeleton_) << "load the program: " << std::strerror(errno);
    cases_ = std::make_unique<Shared<balance_case>>(skeleton_->maps.cases);
    answers_ = std::make_unique<Shared<balance_answer>>(skeleton_->maps.answers);
    ASSERT_NE(cases_->get(), nullptr);
    ASSERT_NE(answers_->get(), nullptr);
  }
  /// The program's answers to what stands in `cases_`.
  void run() {
    std::memset(answers_->get(), 0xff, sizeof(balance_answer) * BALANCE_BATCH);
    LIBBPF_OPTS(bpf_test_run_opts, options);
    ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.answer_all), &options), 0);
    ASSERT_EQ(options.retval, std::uint32_t{BALANCE_BATCH});
  }
  const balance_case& case_at(std::size_t i) const { return cases_->get()[i]; }
  const balance_answer& kernel_answer(std::size_t i) const { return answers_->get()[i]; }

  std::unique_ptr<balance_bpf, Destroy> skeleton_;
  std::unique_ptr<Shared<balance_case>> cases_;
  std::unique_ptr<Shared<balance_answer>> answers_;
};

TEST_F(BalanceDifferential, KernelUserSpaceAndPlainArithmeticAgree) {
  const std::uint64_t wanted = from_environment("CAUSEWAY_FUZZ_CASES", kBalanceCases);
  const std::uint64_t first_seed = from_environment("CAUSEWAY_FUZZ_SEED", FastRandom().next());
  std::printf("%llu cases, CAUSEWAY_FUZZ_SEED=%llu\n", static_cast<unsigned long long>(wanted),
              static_cast<unsigned long long>(first_seed));
  std::uint64_t done = 0;
  for (std::uint64_t seed = first_seed; done < wanted; ++seed, done += BALANCE_BATCH) {
    FastRandom random(seed * 0xd1342543de82ef95u);
    for (std::size_t i = 0; i < BALANCE_BATCH; ++i) cases_->get()[i] = make_case(random);
    ASSERT_NO_FATAL_FAILURE(run());
    for (std::size_t i = 0; i < BALANCE_BATCH; ++i) {
      balance_answer here{};
      answer_balance_case(&case_at(i), &here);
      const balance_answer plain = plain_answer(case_at(i));
      ASSERT_TRUE(same(here, plain) && same(here, kernel_answer(i)))
          << "CAUSEWAY_FUZZ_SEED=" << seed << " case " << i << "\nkernel" << describe(kernel_answer(i)) << "\nhere  "
          << describe(here) << "\nplain " << describe(plain);
    }
  }
  EXPECT_GE(done, wanted);
}

/// The comparison itself: an answer that is off by one is seen.
TEST_F(BalanceDifferential, SeesADifference) {
  FastRandom random(1);
  cases_->get()[0] = make_case(random);
  ASSERT_NO_FATAL_FAILURE(run());
  balance_answer here{};
  answer_balance_case(&case_at(0), &here);
  EXPECT_TRUE(same(here, kernel_answer(0)));
  ++cases_->get()[0].turn;
  ASSERT_NO_FATAL_FAILURE(run());
  EXPECT_FALSE(same(here, kernel_answer(0)));
}

}  // namespace
}  // namespace causeway::test
