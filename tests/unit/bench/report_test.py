"""The intervals that tools/compare prints are what it says of them."""
import fractions
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench/compare"))

import topology  # noqa: E402,F401  first: it makes the end-to-end tests' modules found
import report  # noqa: E402
import scale  # noqa: E402


def patterns(count):
    """Of all 2 ** count ways in which `count` values can lie below or above their median: how many have 0, 1, ... count of them below."""
    ways = [1]
    for _ in range(count):
        ways = [stays + falls for stays, falls in zip([*ways, 0], [0, *ways])]
    return ways


def coverage(count, least, most):
    """How likely the median lies between the values at these two places, counted from 0, of `count` in order."""
    return fractions.Fraction(sum(patterns(count)[least + 1:most + 1]), 2 ** count)


class Interval(unittest.TestCase):
    def test_its_two_values(self):
        for count, expected in ((1, (0, 0)), (5, (0, 4)), (6, (0, 5)), (8, (0, 7)), (9, (1, 7)), (15, (3, 11)), (50, (17, 32))):
            with self.subTest(count):
                self.assertEqual(report.interval(range(count)), expected)

    def test_the_order_of_the_values_does_not_matter(self):
        values = list(range(15))
        random.Random(1).shuffle(values)
        self.assertEqual(report.interval(values), (3, 11))

    def test_it_has_the_confidence_and_is_the_narrowest_with_it(self):
        for count in range(report.ENOUGH_ROUNDS, 61):
            with self.subTest(count):
                least, most = report.interval(range(count))
                self.assertEqual(least, count - 1 - most, "as many are left out at each end")
                self.assertGreaterEqual(coverage(count, least, most), fractions.Fraction(95, 100))
                self.assertLess(coverage(count, least + 1, most - 1), fractions.Fraction(95, 100), "one fewer at each end")

    def test_fewer_rounds_are_not_called_95_percent(self):
        fewer = report.ENOUGH_ROUNDS - 1
        self.assertEqual(coverage(fewer, 0, fewer - 1), fractions.Fraction(9375, 10000))
        self.assertNotIn("95", report.interval_name(fewer))
        self.assertIn("95 %", report.interval_name(fewer + 1))


class OverTables(unittest.TestCase):
    def test_a_round_counts_once(self):
        """Eight tables that a disturbed round moves all alike: the interval is that of six values, not of 48."""
        rows = [{"peer": "causeway-kernel", "round": number, "beyond_direct_us": 10 * number + table} for number in range(6) for table in range(8)]
        rows.append({"peer": "direct", "round": 0, "beyond_direct_us": 1e6})
        self.assertEqual(scale.over_tables(rows, "causeway-kernel", scale.beyond_us), (28.5, 3.5, 53.5))

    def test_percent_is_of_direct(self):
        self.assertEqual(scale.beyond_percent({"cpu_us": 55.0, "beyond_direct_us": 5.0}), 10)


if __name__ == "__main__":
    unittest.main()
