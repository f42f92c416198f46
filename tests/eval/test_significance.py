from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocov2_eval import significance
from rocov2_eval.records import BoolArray, FloatArray, IntArray
from rocov2_eval.resampling import Bootstrap
from rocov2_eval.significance import (
    PairOptions,
    competition_ranks,
    holm,
    letter,
    letters,
    on_grid,
    paired_tests,
    signed_means,
    too_few_images,
    trials_needed,
)

OPTIONS = PairOptions(trials=2000, bootstrap=Bootstrap(resamples=500, seed=3))
SHARES = st.floats(0, 1, allow_subnormal=False)


def f1_like(n: int, runs: int, seed: int = 1) -> FloatArray:
    """Return scores as concept F1 has them: fractions of small numbers, many of them 0 or 1."""
    chance = np.random.default_rng(seed)
    of = chance.integers(1, 8, (n, runs))
    return np.minimum(chance.integers(0, 9, (n, runs)), of) / of


def naive_draws(n: int, options: Bootstrap) -> list[list[int]]:
    drawn: list[list[int]] = (
        np.random.default_rng(options.seed).integers(0, n, (options.resamples, n)).tolist()
    )
    return drawn


def exact_p(difference: Sequence[float]) -> float:
    """Return the p-value over every assignment of signs."""
    observed = abs(sum(difference))
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, difference, strict=True)))
        for signs in product((-1, 1), repeat=len(difference))
    ]
    return sum(value >= observed - 1e-12 for value in sums) / len(sums)


def matrices(most: int = 12) -> st.SearchStrategy[BoolArray]:
    """Return symmetric tables of pairs that differ, nothing differing from itself."""

    def symmetric(k: int) -> st.SearchStrategy[BoolArray]:
        pairs = k * (k - 1) // 2
        return st.lists(st.booleans(), min_size=pairs, max_size=pairs).map(lambda cells: table(k, cells))

    return st.integers(1, most).flatmap(symmetric)


def table(k: int, cells: Sequence[bool]) -> BoolArray:
    upper = np.zeros((k, k), np.bool_)
    upper[np.triu_indices(k, 1)] = cells
    either: BoolArray = upper | upper.T
    return either


def test_holm_multiplies_the_smallest_by_the_number_of_tests_and_never_falls_after() -> None:
    # 0.005·4, 0.01·3, 0.03·2, and 0.04·1 raised to the 0.06 before it.
    expected = [0.03, 0.06, 0.06, 0.02]

    assert pytest.approx(expected) == holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist()


def test_holm_stops_at_one_and_takes_no_tests_or_one() -> None:
    assert [holm(np.array(p)).tolist() for p in ([], [0.2], [0.6, 0.7])] == [[], [0.2], [1.0, 1.0]]


@given(st.lists(SHARES, min_size=1, max_size=12), SHARES)
def test_holm_rejects_what_the_sequential_procedure_rejects(p_values: list[float], alpha: float) -> None:
    rejected: set[int] = set()
    for i in sorted(range(len(p_values)), key=p_values.__getitem__):
        if p_values[i] * (len(p_values) - len(rejected)) > alpha:
            break
        rejected.add(i)

    corrected = holm(np.array(p_values))

    # Of equal p-values the procedure may stop between two; the corrected ones are equal.
    expected = {i for i, p in enumerate(p_values) if p in {p_values[j] for j in rejected}}
    found = {i for i, p in enumerate(corrected) if min(p, 1.0) <= alpha}
    assert rejected <= found
    assert expected == found or alpha == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_the_p_value_is_that_of_all_assignments_of_signs_but_for_chance(seed: int) -> None:
    scores = f1_like(9, 2, seed)
    expected = exact_p((scores[:, 1] - scores[:, 0]).tolist())
    trials = 40_000

    found = paired_tests(scores, PairOptions(trials=trials)).p_value[0, 1]

    # Four standard errors of a share, and the one arrangement that (c + 1) / (B + 1) adds.
    tolerance = 4 * math.sqrt(expected * (1 - expected) / trials) + 1 / trials
    assert pytest.approx(expected, abs=tolerance) == found


@pytest.mark.parametrize("n", [1, 3, 6])
def test_a_run_better_on_every_image_by_the_same_amount_has_two_of_all_signs(n: int) -> None:
    scores = np.column_stack([np.full(n, 0.1), np.full(n, 0.4)])
    expected = 2 / 2**n

    found = paired_tests(scores, PairOptions(trials=40_000)).p_value[0, 1]

    assert pytest.approx(expected, abs=4 * math.sqrt(expected / 40_000)) == found


def test_the_smallest_p_value_is_one_of_the_trials_and_the_data() -> None:
    scores = np.column_stack([np.zeros(300), np.ones(300)])

    assert paired_tests(scores, OPTIONS).p_value[0, 1] == 1 / 2001


@pytest.mark.parametrize("n", [2, 7, 300, 12_345])
def test_a_run_does_not_differ_from_its_copy(n: int) -> None:
    column = f1_like(n, 1)
    tests = paired_tests(np.hstack([column, column, column]), OPTIONS)

    ones, zeros = np.ones((3, 3)).tolist(), np.zeros((3, 3)).tolist()
    assert [ones] * 3 == [tests.p_value.tolist(), tests.p_bootstrap.tolist(), tests.p_holm.tolist()]
    assert [zeros] * 3 == [tests.difference.tolist(), tests.low.tolist(), tests.high.tolist()]


def test_one_image_that_differs_says_nothing() -> None:
    scores = np.repeat(f1_like(300, 1), 2, axis=1)
    scores[17] = 1 / 3, 0.7

    assert paired_tests(scores, OPTIONS).p_value[0, 1] == 1.0


def test_the_same_scores_of_other_images_are_no_difference_in_spite_of_rounding() -> None:
    column = f1_like(3001, 1)[:, 0]

    tests = paired_tests(np.column_stack([column, column[::-1]]), OPTIONS)

    assert tests.p_value[0, 1] == 1.0


def test_the_interval_is_that_of_a_paired_bootstrap_written_down() -> None:
    scores = f1_like(40, 3)
    tests = paired_tests(scores, OPTIONS)

    for a, b in combinations(range(3), 2):
        difference = (scores[:, b] - scores[:, a]).tolist()
        drawn = [sum(difference[i] for i in draw) / 40 for draw in naive_draws(40, OPTIONS.bootstrap)]
        expected = np.quantile(drawn, [0.025, 0.975])
        assert pytest.approx(expected, abs=1e-12) == [tests.low[a, b], tests.high[a, b]]


def test_the_bootstrap_p_value_counts_resamples_as_far_from_the_observed_as_zero_is() -> None:
    scores = f1_like(40, 2, seed=5)
    difference = (scores[:, 1] - scores[:, 0]).tolist()
    observed = sum(difference) / 40
    far = [
        abs(sum(difference[i] for i in draw) / 40 - observed) >= abs(observed) - 1e-12
        for draw in naive_draws(40, OPTIONS.bootstrap)
    ]

    expected = (sum(far) + 1) / (len(far) + 1)
    assert expected == paired_tests(scores, OPTIONS).p_bootstrap[0, 1]


def test_tables_of_p_values_are_symmetric_and_those_of_differences_turn_their_sign() -> None:
    tests = paired_tests(f1_like(50, 5), OPTIONS)

    for symmetric in (tests.p_value, tests.p_bootstrap, tests.p_holm):
        assert symmetric.T.tolist() == symmetric.tolist()
        assert np.diag(symmetric).tolist() == [1.0] * 5
    assert (0.0 - tests.difference.T).tolist() == tests.difference.tolist()
    assert (0.0 - tests.high.T).tolist() == tests.low.tolist()
    assert (tests.low <= tests.high).all()


def test_holm_is_applied_over_the_pairs() -> None:
    tests = paired_tests(f1_like(60, 4), OPTIONS)
    upper = np.triu_indices(4, 1)

    assert holm(tests.p_value[upper]).tolist() == tests.p_holm[upper].tolist()


def test_a_pair_has_the_same_p_value_whoever_else_takes_part() -> None:
    scores = f1_like(80, 4)

    expected = paired_tests(scores, OPTIONS)
    assert expected.p_value[1, 3] == paired_tests(scores[:, [1, 3]], OPTIONS).p_value[0, 1]
    assert expected.low[1, 3] == paired_tests(scores[:, [1, 3]], OPTIONS).low[0, 1]


def test_equal_seeds_give_equal_tests_and_others_do_not() -> None:
    scores = f1_like(80, 3)
    first, again = paired_tests(scores, OPTIONS), paired_tests(scores, OPTIONS)
    other = paired_tests(scores, PairOptions(trials=2000, bootstrap=Bootstrap(resamples=500, seed=4)))

    assert first.p_value.tolist() == again.p_value.tolist()
    assert first.resampled.tolist() == again.resampled.tolist()
    assert first.p_value.tolist() != other.p_value.tolist()
    assert first.resampled.tolist() != other.resampled.tolist()


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no image"):
        paired_tests(np.zeros((0, 2)), OPTIONS)


@pytest.mark.parametrize("options", [{"trials": 0}, {"alpha": 0.0}, {"alpha": 1.0}])
def test_an_impossible_option_is_refused_by_its_name(options: dict[str, float]) -> None:
    (name,) = options

    with pytest.raises(ValueError, match=f"^{name} is "):
        PairOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 31, 32, 33, 1000])
def test_signed_means_are_about_zero_and_as_wide_as_the_scores_say(n: int) -> None:
    scores = f1_like(n, 2, seed=8) + 0.1

    means = signed_means(scores, 40_000, 7)

    # The variance of a sum of independent signs times x is the sum of x².
    expected = np.sqrt((scores**2).sum(axis=0)) / n
    assert pytest.approx(expected, rel=0.02) == means.std(axis=0)
    assert pytest.approx([0, 0], abs=4 * expected.max() / 200) == means.mean(axis=0)


def test_every_sign_is_drawn_for_every_image_and_no_two_images_share_theirs() -> None:
    means = signed_means(np.eye(70), 500, 7) * 70

    assert {-1.0, 1.0} == set(means.ravel().tolist())
    assert len(np.unique(means, axis=1).T) == 70
    assert np.abs(np.corrcoef(means.T) - np.eye(70)).max() < 5 / math.sqrt(500)


def test_all_runs_see_the_same_signs() -> None:
    scores, _ = on_grid(f1_like(200, 2))
    means = signed_means(scores, 300, 7)

    expected = signed_means(scores[:, [1]] - scores[:, [0]], 300, 7)[:, 0]
    assert pytest.approx(expected, abs=1e-15) == means[:, 1] - means[:, 0]


def test_the_size_of_the_chunks_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = f1_like(101, 3)
    expected = paired_tests(scores, OPTIONS)
    monkeypatch.setattr(significance, "_CHUNK", 777)

    found = paired_tests(scores, OPTIONS)

    assert expected.p_value.tolist() == found.p_value.tolist()


@pytest.mark.parametrize("n", [1, 1000, 1_000_000])
def test_sums_on_the_grid_do_not_depend_on_the_order(n: int) -> None:
    scores = np.random.default_rng(2).random((n, 1)) * 2 - 1
    grid, step = on_grid(scores)
    sums = {float(part.sum()) for part in (grid[:, 0], np.sort(grid[:, 0]), -np.sort(-grid[:, 0]))}

    assert {math.fsum(grid[:, 0].tolist())} == sums
    assert np.abs(grid - scores).max() <= step / 2
    assert step <= 5e-10


def test_zeros_have_a_grid_too() -> None:
    grid, step = on_grid(np.zeros((5, 2)))

    assert (not grid.any(), step > 0) == (True, True)


@given(matrices())
def test_two_runs_share_a_letter_if_and_only_if_they_do_not_differ(is_different: BoolArray) -> None:
    names = letters(is_different)

    k = len(is_different)
    shared = [[bool({*names[a]} & {*names[b]}) for b in range(k)] for a in range(k)]
    assert (~is_different).tolist() == shared


@given(matrices())
def test_no_run_could_be_given_another_letter(is_different: BoolArray) -> None:
    names = letters(is_different)

    for name in set("".join(names)):
        group = [name in own for own in names]
        fits = ~is_different[:, group].any(axis=1)
        assert fits.tolist() == group


@given(matrices())
def test_letters_start_with_the_best_run_and_leave_none_out(is_different: BoolArray) -> None:
    names = letters(is_different)

    used = sorted(set("".join(names)))
    assert (names[0][0], [letter(i) for i in range(len(used))]) == ("a", used)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], ["a", "a", "a"]),
        ([(0, 2)], ["a", "ab", "b"]),
        ([(0, 1), (0, 2)], ["a", "b", "b"]),
        ([(0, 1), (0, 2), (1, 2)], ["a", "b", "c"]),
        ([(0, 1)], ["a", "b", "ab"]),
    ],
)
def test_letters_of_three_runs(pairs: list[tuple[int, int]], expected: list[str]) -> None:
    is_different = np.zeros((3, 3), np.bool_)
    for a, b in pairs:
        is_different[a, b] = is_different[b, a] = True

    assert expected == letters(is_different)


def test_no_run_has_no_letters() -> None:
    assert letters(np.zeros((0, 0), np.bool_)) == []


def test_teams_of_three_runs_that_differ_within_a_team_alone_do_not_need_a_billion_letters() -> None:
    team = np.arange(60) // 3
    is_different = (team[:, None] == team[None, :]) & ~np.eye(60, dtype=np.bool_)  # 3^20 largest groups

    names = letters(is_different)

    groups = len({sign for name in names for sign in re.findall(r"\(\d+\)|.", name)})
    assert groups < 60


def test_runs_that_differ_at_a_distance_need_no_more_letters_than_runs() -> None:
    place = np.sort(np.random.default_rng(4).random(60))
    is_different = np.abs(place[:, None] - place[None, :]) > 0.15

    # Such groups are stretches of the ranking: as many as there are last runs to begin with.
    ends = [int(np.flatnonzero(~row).max()) for row in is_different]
    assert len(set(ends)) == len(set("".join(letters(is_different))))


def test_letters_go_on_after_the_alphabet() -> None:
    assert [letter(i) for i in (0, 25, 26, 51, 52)] == ["a", "z", "A", "Z", "(53)"]


def test_equal_means_share_the_better_rank_and_the_next_is_left_out() -> None:
    means = np.array([[0.5, 0.9, 0.9, 0.1], [0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.5, 0.5]])
    expected = [[3, 1, 1, 4], [4, 3, 2, 1], [1, 1, 1, 1]]

    assert expected == competition_ranks(means).tolist()


def test_rounding_parts_no_ranks_and_a_hundred_millionth_does() -> None:
    assert competition_ranks(np.array([[0.1 + 0.2, 0.3], [0.3, 0.30000001]])).tolist() == [[1, 1], [2, 1]]


@given(st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=5))
def test_a_rank_is_one_more_than_the_number_of_better_runs(rows: list[list[int]]) -> None:
    expected = [[1 + sum(other > value for other in row) for value in row] for row in rows]

    assert expected == competition_ranks(np.array(rows) / 3).tolist()


@pytest.mark.parametrize("runs", [2, 3, 10, 50])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_trials_needed_let_the_smallest_p_value_survive_the_correction(runs: int, alpha: float) -> None:
    pairs = runs * (runs - 1) // 2

    def survives(trials: int) -> bool:
        smallest = np.full(pairs, 1.0)
        smallest[0] = 1 / (trials + 1)
        return bool(holm(smallest)[0] < alpha)

    trials = trials_needed(runs, alpha)

    # One trial fewer gives alpha itself, which is below alpha or not by rounding.
    assert [survives(trials - 2), survives(trials)] == [False, True]


def test_one_image_has_no_interval_and_tells_no_two_runs_apart() -> None:
    tests = paired_tests(np.array([[0.0, 1.0, 1.0]]), OPTIONS)

    assert tests.difference[0].tolist() == [0, 1, 1]
    assert np.isnan(tests.low).all()
    assert np.isnan(tests.high).all()
    assert {*tests.p_value.flat, *tests.p_bootstrap.flat, *tests.p_holm.flat} == {1.0}
    assert tests.resampled.shape == (0, 3)


def test_scores_that_are_all_equal_have_an_interval_of_nothing() -> None:
    tests = paired_tests(np.full((5, 2), 0.7), OPTIONS)

    assert (tests.low[0, 1], tests.high[0, 1], tests.p_value[0, 1], tests.p_bootstrap[0, 1]) == (0, 0, 1, 1)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_p_value_of_few_images_is_that_over_all_signs(n: int) -> None:
    scores = np.column_stack([np.zeros(n), np.ones(n)])
    trials = 20_000
    p_value = paired_tests(scores, PairOptions(trials=trials, bootstrap=OPTIONS.bootstrap)).p_value[0, 1]

    assert exact_p([1.0] * n) == 2 / 2**n
    assert p_value == pytest.approx(2 / 2**n, abs=4 / math.sqrt(trials))


@pytest.mark.parametrize(
    ("shape", "is_told"), [((5, 2), True), ((6, 2), False), ((6, 3), True), ((1, 1), False)]
)
def test_too_few_images_for_any_pair_to_be_significant_are_told(
    shape: tuple[int, int], *, is_told: bool
) -> None:
    assert bool(too_few_images("rouge1", shape, 0.05)) == is_told


class Memory:
    """Keeps trials of pairs, and counts those that it was asked for and had."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[int, int]] = {}
        self.kept = 0

    def known_pairs(self, names: Sequence[str]) -> tuple[IntArray, IntArray]:
        k = len(names)
        rows = [self.rows.get((min(a, b), max(a, b)), (0, 0)) for a in names for b in names]
        trials, extremes = np.array(rows, np.int64).reshape(k, k, 2).transpose(2, 0, 1)
        return trials.copy(), extremes.copy()

    def keep_pairs(self, names: Sequence[str], trials: IntArray, extremes: IntArray) -> None:
        for i, j in np.argwhere(np.triu(trials, 1) > 0):
            a, b = sorted((names[i], names[j]))
            self.rows[a, b] = (int(trials[i, j]), int(extremes[i, j]))
            self.kept += 1


def test_pairs_that_are_known_have_the_same_p_values_and_only_new_ones_are_drawn() -> None:
    scores = np.random.default_rng(5).integers(0, 4, (3001, 6)) / 3
    fewer, more = (PairOptions(trials=trials, bootstrap=Bootstrap(resamples=20)) for trials in (700, 2_500))
    memory = Memory()
    for k, options, drawn in ((4, fewer, 6), (4, fewer, 0), (5, fewer, 4), (6, more, 15), (6, fewer, 15)):
        memory.kept = 0
        order = np.random.default_rng(k).permutation(k)
        expected = paired_tests(scores[:, order], options)
        found = paired_tests(scores[:, order], options, memory)
        assert np.array_equal(found.p_value, expected.p_value)
        assert np.array_equal(found.p_holm, expected.p_holm)
        assert memory.kept == drawn


def test_another_seed_or_grid_has_trials_of_its_own() -> None:
    scores = np.random.default_rng(6).integers(0, 4, (50, 3)) / 3
    memory = Memory()
    for seed, scale in ((1, 1.0), (2, 1.0), (1, 8.0)):
        memory.kept = 0
        options = PairOptions(trials=50, bootstrap=Bootstrap(resamples=20, seed=seed))
        paired_tests(scores * scale, options, memory)
        assert memory.kept == 3


def test_without_trials_no_p_value_is_made_up() -> None:
    scores = np.random.default_rng(7).random((50, 3))
    options = PairOptions(bootstrap=Bootstrap(resamples=20))
    tests = paired_tests(scores, options, has_trials=False)
    with_trials = paired_tests(scores, options)
    upper = np.triu_indices(3, 1)
    assert (tests.trials, with_trials.trials) == (0, options.trials)
    assert np.isnan(tests.p_value[upper]).all()
    assert np.isnan(tests.p_holm[upper]).all()
    assert np.array_equal(tests.low, with_trials.low)
    assert np.array_equal(tests.difference, with_trials.difference)
