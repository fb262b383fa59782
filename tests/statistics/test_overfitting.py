"""The best of several runs against the luck of the search: PBO by a plain implementation, SPA by how often it errs."""

from itertools import combinations

import numpy as np
import pytest

from botscalp.statistics.overfitting import BLOCKS, MINIMUM_DAYS, pbo, spa_p


def noise(seed: int, days: int = 240, runs: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(5, (days, runs)) * 0.01


def with_an_edge(seed: int, daily_sharpe: float, days: int = 240, runs: int = 12) -> np.ndarray:
    """Noise of which one run earns every day."""
    returns = noise(seed, days, runs)
    returns[:, 4] += daily_sharpe * returns[:, 4].std()
    return returns


def pbo_by_the_paper(returns: np.ndarray, blocks: int) -> float:
    """Steps 1 to 4 of CSCV, in the words of the paper, on a list of halvings."""
    parts = np.array_split(np.arange(len(returns)), blocks)
    below = 0
    halvings = list(combinations(range(blocks), blocks // 2))
    for chosen in halvings:
        inside = returns[np.concatenate([parts[i] for i in chosen])]
        outside = returns[np.concatenate([parts[i] for i in range(blocks) if i not in chosen])]
        best = np.argmax(inside.mean(axis=0) / inside.std(axis=0, ddof=1))
        sharpes = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        rank = 1 + np.sum(sharpes < sharpes[best])
        below += rank / (returns.shape[1] + 1) < 0.5
    return below / len(halvings)


@pytest.mark.parametrize("seed", range(3))
def test_pbo_agrees_with_the_paper(seed: int) -> None:
    returns = noise(seed, days=100 + seed, runs=5 + seed)
    assert pbo(returns) == pytest.approx(pbo_by_the_paper(returns, BLOCKS))


def test_choosing_among_noise_is_worth_nothing_and_an_edge_stays() -> None:
    assert 0.4 < np.mean([pbo(noise(seed)) for seed in range(8)]) < 0.65
    assert pbo(with_an_edge(0, 0.5)) < 0.01


def test_pbo_takes_no_sides_between_losers() -> None:
    """Which of two losing runs loses less is no luck; that is why it is never asked alone."""
    returns = noise(0, runs=2) - np.array([0.004, 0.02])
    assert pbo(returns) == 0.0 and spa_p(returns, seed=0) == 1.0


@pytest.mark.parametrize("measure", [pbo, lambda returns: spa_p(returns, seed=0)], ids=["pbo", "spa"])
def test_the_transpose_one_run_and_few_days_are_refused(measure) -> None:  # type: ignore[no-untyped-def]
    for returns in (noise(0).T, noise(0, runs=1), noise(0, days=MINIMUM_DAYS - 1)):
        with pytest.raises(ValueError, match="days, runs"):
            measure(returns)


def test_spa_rarely_sees_skill_in_noise() -> None:
    """40 searches without skill: at 5 % two are expected, seven or more would come of a level of 5 % once in 300."""
    p = np.array([spa_p(noise(seed, days=120, runs=6), seed=seed) for seed in range(40)])
    assert np.sum(p <= 0.05) < 7 and np.median(p) > 0.3


@pytest.mark.slow
@pytest.mark.parametrize(("carried", "at_most"), [(0.0, 0.08), (0.3, 0.13)])
def test_how_often_spa_errs(carried: float, at_most: float) -> None:
    """200 searches without skill, of days that carry a share of the day before over."""

    def search(seed: int) -> np.ndarray:
        returns = noise(seed, days=250, runs=8)
        for day in range(1, len(returns)):
            returns[day] += carried * returns[day - 1]
        return returns

    share = np.mean([spa_p(search(seed), seed=seed) <= 0.05 for seed in range(200)])
    assert 0.02 < share < at_most, share


def test_spa_sees_an_edge_among_noise_whatever_its_size() -> None:
    """The edge of a run at a thousandth of the others' size, and beside a run that ruins itself."""
    returns = with_an_edge(0, 0.3)
    p = spa_p(returns, seed=0)
    assert p is not None and p < 0.01
    assert spa_p(returns * np.where(np.arange(12) == 4, 1e-3, 1.0), seed=0) == pytest.approx(p)
    worse = spa_p(np.column_stack([returns, noise(9)[:, 0] * 50 - 0.2]), seed=0)
    assert worse is not None and worse < 0.01


def test_spa_says_the_same_again_and_leaves_out_what_never_trades() -> None:
    returns = noise(3)
    p = spa_p(returns, seed=7)
    assert p == spa_p(returns, seed=7) == spa_p(np.column_stack([returns, np.zeros(240)]), seed=7)
    assert spa_p(np.zeros((100, 3)), seed=7) is None
    assert spa_p(-np.abs(returns), seed=7) == 1.0
    once = np.zeros((100, 2))
    once[50, 0] = 0.01
    assert spa_p(once, seed=7) > 0.05, "one trade"
