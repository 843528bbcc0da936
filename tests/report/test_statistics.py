"""Intervals and tests against independent implementations and known truth."""

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    power_proportions_2indep,
    proportion_confint,
)

from sfbench.errors import UsageError
from sfbench.report.comparison import (
    Outcomes,
    PairCounts,
    count_pairs,
    detectable_difference,
    episodes_needed,
    flip_rate,
    holm,
    mcnemar_exact,
    paired_difference,
    ranks,
)
from sfbench.report.intervals import (
    Estimate,
    Rate,
    clopper_pearson,
    difference,
    suite_mean,
    suite_mean_over_seeds,
    suite_mean_over_tasks,
    wilson,
)

RATES = np.linspace(0.05, 0.95, 19)
RUNS = 2000


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 50), (7, 50), (50, 50), (499, 500)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_agree_with_scipy_and_statsmodels(k: int, n: int, confidence: float) -> None:
    for ours, name in ((wilson, "wilson"), (clopper_pearson, "beta")):
        judge = proportion_confint(k, n, 1 - confidence, method=name)
        got = ours(k, n, confidence)
        assert (got.low, got.high) == pytest.approx(judge, abs=1e-12)
    judge = binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert wilson(k, n, confidence).low == pytest.approx(judge.low, abs=1e-12)


def test_impossible_counts_are_refused() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    with pytest.raises(UsageError, match="3 successes of 2"):
        wilson(3, 2)
    with pytest.raises(UsageError, match="confidence"):
        clopper_pearson(1, 2, 1.0)
    with pytest.raises(UsageError, match="t2"):
        suite_mean({"t1": wilson(1, 2), "t2": wilson(0, 0)})


def covered(interval: Rate | Estimate, truth: float) -> bool:
    return interval.low <= truth <= interval.high


@pytest.mark.parametrize("n", [20, 50, 100])
def test_coverage_of_task_intervals(n: int) -> None:
    random = np.random.default_rng(n)
    shares: dict[str, list[float]] = {"wilson": [], "exact": []}
    for rate in RATES:
        drawn = random.binomial(n, rate, RUNS)
        table = {k: (wilson(k, n), clopper_pearson(k, n)) for k in set(drawn.tolist())}
        shares["wilson"].append(float(np.mean([covered(table[k][0], rate) for k in drawn])))
        shares["exact"].append(float(np.mean([covered(table[k][1], rate) for k in drawn])))
    assert np.mean(shares["wilson"]) >= 0.93
    assert np.mean(shares["exact"]) >= 0.95
    assert min(shares["exact"]) >= 0.94


@pytest.mark.parametrize(("tasks", "n"), [(10, 10), (10, 50), (6, 100)])
def test_coverage_of_the_suite_mean(tasks: int, n: int) -> None:
    """Fixed tasks of different difficulty; the truth is the mean of their rates."""
    random = np.random.default_rng(tasks * n)
    fixed, resampled, widths = [], [], []
    for centre in RATES:
        rates = np.clip(random.normal(centre, 0.15, tasks), 0.01, 0.99)
        hits = 0
        for drawn in random.binomial(n, rates, (RUNS, tasks)):
            found = suite_mean({str(i): wilson(int(k), n) for i, k in enumerate(drawn)})
            hits += covered(found, float(rates.mean()))
            widths.append(found.high - found.low)
        fixed.append(hits / RUNS)
        one = {str(i): wilson(int(k), n) for i, k in enumerate(random.binomial(n, rates))}
        resampled.append(suite_mean_over_tasks(one))
    assert np.mean(fixed) >= 0.93
    wider = np.mean([found.high - found.low for found in resampled])
    print(
        f"{tasks} tasks x {n}: fixed-task coverage {np.mean(fixed):.3f} "
        f"(lowest {min(fixed):.3f}), width {np.mean(widths):.3f}; task-resampled width {wider:.3f}"
    )
    assert wider > np.mean(widths)


def test_coverage_over_training_seeds() -> None:
    """Seeds that truly differ: pooling their episodes alone would cover far too rarely."""
    random = np.random.default_rng(0)
    n, tasks, count = 50, 6, 3
    hits = pooled_hits = 0
    for _ in range(RUNS):
        means = np.clip(random.normal(0.6, 0.08, count), 0, 1)
        drawn = random.binomial(n, np.repeat(means[:, None], tasks, axis=1))
        seeds = [{str(i): wilson(int(k), n) for i, k in enumerate(row)} for row in drawn]
        hits += covered(suite_mean_over_seeds(seeds), 0.6)
        one = {str(i): wilson(int(k), n * count) for i, k in enumerate(drawn.sum(axis=0))}
        pooled_hits += covered(suite_mean(one), 0.6)
    assert hits / RUNS >= 0.93
    assert pooled_hits / RUNS < 0.6


@pytest.mark.parametrize(("k1", "k2", "n"), [(40, 30, 50), (50, 48, 50), (0, 3, 20)])
def test_difference_is_newcombes(k1: int, k2: int, n: int) -> None:
    one, two = wilson(k1, n), wilson(k2, n)
    got = difference(Estimate(k1 / n, one.low, one.high), Estimate(k2 / n, two.low, two.high))
    judge = confint_proportions_2indep(k1, n, k2, n, method="newcomb", compare="diff")
    assert (got.low, got.high) == pytest.approx(judge, abs=1e-9)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (5, 5), (1, 9), (0, 6), (30, 12)])
def test_mcnemar_agrees_with_statsmodels(b: int, c: int) -> None:
    judge = mcnemar([[10, b], [c, 10]], exact=True).pvalue
    assert mcnemar_exact(b, c) == pytest.approx(judge, abs=1e-12)


def test_holm_agrees_with_statsmodels() -> None:
    p_values = [0.04, 0.001, 0.03, 0.5, 0.012, 0.03]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_pairs_are_counted_on_shared_episodes() -> None:
    first = Outcomes(np.array([5, 1, 2, 3, 4]), np.array([True, True, True, False, False]))
    second = Outcomes(np.array([1, 2, 3, 4, 6]), np.array([True, False, True, False, True]))
    assert count_pairs(first, second) == PairCounts(1, 1, 1, 1)


def test_paired_difference_covers_the_truth() -> None:
    random = np.random.default_rng(1)
    hits, runs = 0, 150
    for _ in range(runs):
        tasks = {}
        for task in "abcd":
            first, second = random.random(50) < 0.7, random.random(50) < 0.6
            episodes = np.arange(50)
            tasks[task] = count_pairs(Outcomes(episodes, first), Outcomes(episodes, second))
        hits += covered(paired_difference(tasks), 0.1)
    assert hits / runs >= 0.92


def test_pairing_narrows_the_difference() -> None:
    """Episodes that are easy or hard for both tell nothing, and cost nothing."""
    paired = paired_difference({"a": PairCounts(60, 8, 2, 30)})
    one, two = wilson(68, 100), wilson(62, 100)
    unpaired = difference(Estimate(0.68, one.low, one.high), Estimate(0.62, two.low, two.high))
    assert paired.value == pytest.approx(unpaired.value)
    assert paired.high - paired.low < 0.6 * (unpaired.high - unpaired.low)


def test_ranks_count_who_is_better() -> None:
    assert ranks([(0, 2), (1, 2), (0, 2)], 3) == [1, 1, 3]


@pytest.mark.parametrize(("rate", "gain"), [(0.5, 0.1), (0.9, 0.05), (0.1, 0.3)])
def test_episodes_needed_give_the_power(rate: float, gain: float) -> None:
    n = episodes_needed(rate, gain)
    judge = power_proportions_2indep(gain, rate, n, alpha=0.05).power
    assert judge == pytest.approx(0.8, abs=0.02)
    assert detectable_difference(rate, n) == pytest.approx(gain, rel=0.01)


def test_what_cannot_be_detected() -> None:
    assert detectable_difference(0.95, 10) == pytest.approx(0.05)
    with pytest.raises(UsageError, match="gain"):
        episodes_needed(0.9, 0.2)


def test_flip_rate() -> None:
    found = flip_rate(np.array([2, 2, 1]), np.array([2, 1, 0]))
    assert (found.rate.value, found.episodes) == (0.5, 2)
    assert found.rate.low == pytest.approx(wilson(1, 2).low)
    assert flip_rate(np.array([3]), np.array([2])).rate.value == pytest.approx(2 / 3)
    with pytest.raises(UsageError, match="repeats=2"):
        flip_rate(np.array([1]), np.array([1]))
