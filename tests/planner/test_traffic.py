import random

import pytest

from planner.traffic import MOST_BUCKETS, Bucket, parse_traffic, traffic_of
from spec.errors import SpecError

HEAD = "qps,prompt_tokens,output_tokens\n"
TRACE = "time_s,prompt_tokens,output_tokens\n"


def test_a_row_is_a_bucket_and_rows_of_the_same_lengths_are_one():
    traffic = parse_traffic(HEAD + "1,100,10\n2,1000,100\n0.5,100,10\n", "load.csv")
    assert traffic.buckets == (Bucket(100, 10, 1.5), Bucket(1000, 100, 2.0))
    assert traffic.qps == 3.5
    assert traffic.tokens_s == 1.5 * 110 + 2 * 1100


def test_the_order_of_rows_does_not_matter():
    rows = [Bucket(p, o, q / 7) for p in (1, 50, 900) for o in (1, 30) for q in (1, 2, 3)]
    shuffled = random.Random(7).sample(rows, len(rows))
    assert traffic_of(shuffled) == traffic_of(rows)


def test_many_rows_are_put_together_and_nothing_is_lost():
    rng = random.Random(1)
    rows = [(rng.randint(1, 8000), rng.randint(1, 2000)) for _ in range(5000)]
    traffic = parse_traffic(HEAD + "".join(f"0.01,{p},{o}\n" for p, o in rows), "load.csv")
    assert MOST_BUCKETS / 4 < len(traffic.buckets) <= MOST_BUCKETS
    assert traffic.qps == pytest.approx(50)
    exact = sum(0.01 * (p + o) for p, o in rows)
    assert exact <= traffic.tokens_s <= exact * 1.01


def test_a_trace_counts_with_its_busiest_five_minutes():
    calm = [(t, 100, 10) for t in range(0, 3600, 10)]
    busy = [(3600 + t / 10, 2000, 50) for t in range(3000)]
    rows = "".join(f"{t},{p},{o}\n" for t, p, o in calm + busy)
    traffic = parse_traffic(TRACE + rows, "trace.csv")
    assert traffic.qps == pytest.approx(10, rel=0.02)
    assert {(b.prompt_tokens, b.output_tokens) for b in traffic.buckets} == {(100, 10), (2000, 50)}


def test_a_short_trace_counts_with_its_own_length():
    assert parse_traffic(TRACE + "0,8,8\n5,8,8\n10,8,8\n", "t.csv").qps == pytest.approx(0.3)
    assert parse_traffic(TRACE + "3,8,8\n3,8,8\n", "t.csv").qps == pytest.approx(2)


@pytest.mark.parametrize(
    ("text", "line", "field", "why"),
    [
        ("", 1, "", "the header must be `qps,prompt_tokens,output_tokens` (buckets) or `time_s,"),
        ("a,b\n1,2\n", 1, "", "the header must be"),
        (HEAD, 1, "", "has no row"),
        (HEAD + "1,100,10\n-2,100,10\n", 3, "qps", "a number above 0; it is `-2`"),
        (HEAD + "inf,100,10\n", 2, "qps", "a number above 0; it is `inf`"),
        (HEAD + "1e7,100,10\n", 2, "qps", "at most 1,000,000 requests per second; it is `1e7`"),
        (HEAD + "1,0,10\n", 2, "prompt_tokens", "a whole number above 0; it is `0`"),
        (HEAD + "1,10,1.5\n", 2, "output_tokens", "a whole number above 0; it is `1.5`"),
        (HEAD + "1,10\n", 2, "", "a row has 3 cells, this one 2"),
        (TRACE + "0,8,8\nNaN,8,8\n", 3, "time_s", "a number of seconds, 0 or more; it is `NaN`"),
        (TRACE + "5,8,8\n4,8,8\n", 3, "time_s", "4 comes after 5: sort the rows by time"),
        (TRACE + "5,8,8\n", 1, "", "a trace needs two requests"),
    ],
)
def test_a_wrong_row_is_named_with_its_number(text, line, field, why):
    with pytest.raises(SpecError) as e:
        parse_traffic(text, "load.csv")
    (problem,) = e.value.problems
    assert (problem.file, problem.line, problem.field) == ("load.csv", line, field)
    assert why in problem.message
