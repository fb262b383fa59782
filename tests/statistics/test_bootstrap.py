"""The bootstrap of figures against `arch` on the rows themselves, and what makes intervals wide."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from scipy.signal import lfilter
from scipy.stats import t as student

from botscalp.statistics import bootstrap, figures
from botscalp.statistics.bootstrap import MINIMUM_BLOCKS, SPANS_A_BLOCK, Resampling
from botscalp.statistics.figures import Figure
from botscalp.times import DAY_NS
from botscalp.types import Float64, Int64

BAR_NS = 300 * 10**9
ROWS = 1_800


def times(n: int) -> Int64:
    return np.arange(n) * BAR_NS


def resampling(*found: Figure | None, n: int = ROWS, span_bars: int = 1, **changed: Any) -> Resampling:
    """Of n bars, so that each is a cell."""
    options = {"start_ns": 0, "end_ns": n * BAR_NS, "cell_ns": BAR_NS, "span_ns": span_bars * BAR_NS, "seed": 0}
    return Resampling.of([figure for figure in found if figure is not None], **options | {"draws": 400} | changed)


def figure_of(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def width(figure: Figure | None, drawn: Resampling) -> float:
    interval = drawn.interval(figure)
    assert interval is not None
    return interval[1] - interval[0]


def forecasts(n: int = ROWS, seed: int = 0) -> tuple[Float64, Float64, Float64]:
    """Two forecasts with ties, and labels that follow a slow signal."""
    rng = np.random.default_rng(seed)
    signal = lfilter([0.3], [1, -0.95], rng.normal(size=n))
    truth = 1 / (1 + np.exp(-0.5 * signal))
    label = (rng.random(n) < truth).astype(float)
    return truth.round(2), np.clip(truth + 0.1 * rng.normal(size=n), 0, 1).round(2), label


# --- against an oracle ---


def plain_auc(p: Float64, label: Float64) -> float:
    up, down = p[label == 1], np.sort(p[label == 0])
    below = np.searchsorted(down, up, side="left") + np.searchsorted(down, up, side="right")
    return float(below.mean() / 2 / len(down))


def plain_sharpe(returns: Float64) -> float:
    return float(returns.mean() / returns.std(ddof=1) * np.sqrt(365))


def plain_skill(p: Float64, label: Float64) -> float:
    return float(1 - np.mean((p - label) ** 2) / np.mean((0.5 - label) ** 2))


def from_rows(statistic: Callable[..., float], drawn: Resampling, *columns: Float64, seed: int) -> Float64:
    """The statistic of the rows that arch draws, with nothing of ours in between."""
    blocks = StationaryBootstrap(drawn.block_ns // drawn.cell_ns, *columns, seed=seed)
    return np.array([statistic(*rows) for rows, _ in blocks.bootstrap(len(drawn.count_DC))])


def test_draws_agree_with_arch_on_the_rows_themselves() -> None:
    p, other, label = forecasts()
    returns = 0.1 * (p - 0.45) + 0.01 * np.random.default_rng(1).standard_t(5, ROWS)
    auc = figure_of(figures.auc(p, label, times(ROWS)))
    drawn = resampling(auc, span_bars=2, draws=1_000)
    half = np.full(ROWS, 0.5)
    cases: list[tuple[Figure, Callable[..., float], tuple[Float64, ...]]] = [
        (auc, plain_auc, (p, label)),
        (
            auc - figure_of(figures.auc(other, label, times(ROWS))),
            lambda p, q, label: plain_auc(p, label) - plain_auc(q, label),
            (p, other, label),
        ),
        (figure_of(figures.brier_skill(p, half, label, times(ROWS))), plain_skill, (p, label)),
        (figure_of(figures.sharpe(returns, times(ROWS))), plain_sharpe, (returns,)),
        (figure_of(figures.mean(returns, times(ROWS))), np.mean, (returns,)),
    ]
    for figure, plain, columns in cases:
        ours = drawn.draws(figure)
        same = from_rows(plain, drawn, *columns, seed=0)  # the draws of the same seed: what remains is what bends
        assert np.corrcoef(ours, same)[0, 1] > 0.98
        assert np.std(ours) == pytest.approx(np.std(same), rel=0.03)
        others = from_rows(plain, drawn, *columns, seed=1)
        assert np.std(ours) == pytest.approx(np.std(others), rel=0.08)  # noise of two times 1,000 draws is 3 %


def test_an_interval_is_the_draws_quantiles_stretched_as_student_s_t() -> None:
    figure = figure_of(figures.mean(np.random.default_rng(2).normal(size=ROWS), times(ROWS)))
    drawn = resampling(figure, span_bars=3)
    blocks = -(-ROWS // (drawn.block_ns // BAR_NS))
    freedom = blocks / 2 - 1
    stretch = student.ppf(0.975, freedom) / 1.959964 * np.sqrt(1 + 1 / freedom)
    quantiles = np.quantile(drawn.draws(figure), [0.025, 0.975])
    assert drawn.blocks(figure.time_ns) == blocks
    assert drawn.interval(figure) == pytest.approx(figure.value + stretch * (quantiles - figure.value), rel=1e-6)
    assert Resampling.stretch(20) > Resampling.stretch(200) > 1.0
    assert Resampling.stretch(100_000) == pytest.approx(1.0, abs=1e-3)
    wide = drawn.interval(figure, confidence=0.9973)
    assert wide is not None and wide[1] - wide[0] > 1.3 * width(figure, drawn)


# --- the draws ---


def test_every_figure_sees_the_same_draws() -> None:
    p, other, label = forecasts()
    auc = figure_of(figures.auc(p, label, times(ROWS)))
    drawn = resampling(auc)
    assert drawn.interval(auc - auc) == (0.0, 0.0)
    hits, misses = (figures.mean((x == label).astype(float), times(ROWS)) for x in (p > 0.5, p <= 0.5))
    low, high = drawn.interval(hits) or (np.nan, np.nan)
    assert drawn.interval(misses) == pytest.approx((1 - high, 1 - low))
    # A difference of forecasts that err together is surer than either.
    difference = auc - figure_of(figures.auc(other, label, times(ROWS)))
    assert width(difference, drawn) < 0.8 * width(auc, drawn)


def test_draws_are_seeded_and_fill_the_time() -> None:
    p, _, label = forecasts()
    auc = figures.auc(p, label, times(ROWS))
    drawn = resampling(auc)
    assert np.array_equal(drawn.count_DC, resampling(auc).count_DC)
    assert not np.array_equal(drawn.count_DC, resampling(auc, seed=1).count_DC)
    assert (drawn.count_DC.sum(axis=1) == ROWS).all()
    assert drawn.count_DC.mean(axis=0) == pytest.approx(1.0, abs=0.5)


def test_order_of_rows_does_not_matter_and_symbols_that_move_as_one_tell_nothing_more() -> None:
    p, _, label = forecasts()
    time_ns, shuffled = times(ROWS), np.random.default_rng(3).permutation(ROWS)
    once = figures.auc(p, label, time_ns)
    drawn = resampling(once)
    expected = pytest.approx(drawn.interval(once), abs=1e-6)
    assert drawn.interval(figures.auc(p[shuffled], label[shuffled], time_ns[shuffled])) == expected
    twice = figures.auc(np.tile(p, 2), np.tile(label, 2), np.tile(time_ns, 2))
    assert resampling(twice).interval(twice) == expected


# --- what decides on the width ---


def series(dependence: float, n: int = ROWS, seed: int = 4) -> Figure:
    """The mean of an autoregressive series of standard deviation 1."""
    noise = np.random.default_rng(seed).normal(size=n)
    return figure_of(figures.mean(lfilter([np.sqrt(1 - dependence**2)], [1, -dependence], noise), times(n)))


def test_blocks_hold_fifteen_spans_and_more_where_rows_depend_for_longer() -> None:
    for span_bars in (2, 4):
        assert resampling(span_bars=span_bars).block_ns == SPANS_A_BLOCK * span_bars * BAR_NS
        assert resampling(series(0.0), span_bars=span_bars).block_ns >= SPANS_A_BLOCK * span_bars * BAR_NS
    lengths = [resampling(series(dependence)).block_ns for dependence in (0.0, 0.8, 0.95)]
    assert lengths[0] < lengths[1] < lengths[2]
    assert resampling(series(0.0), series(0.95)).block_ns == lengths[2]
    # But never so long that nothing could be said.
    assert resampling(series(0.9999)).block_ns <= ROWS * BAR_NS / MINIMUM_BLOCKS


def test_blocks_are_of_eight_hours_where_there_are_eighty_and_shorter_where_not() -> None:
    for n, expected in ((160, 2), (ROWS, ROWS / 80), (7_680, 96), (60_000, 96)):
        assert resampling(n=n, span_ns=0, draws=1).block_ns == expected * BAR_NS
    day_ns = 288 * BAR_NS
    assert resampling(n=90 * 288, span_ns=0, cell_ns=day_ns).block_ns == day_ns


def test_longer_dependence_widens() -> None:
    widths = [width(one, resampling(one)) for one in (series(0.0), series(0.5), series(0.8))]
    true = [np.sqrt((1 + phi) / (1 - phi)) for phi in (0.0, 0.5, 0.8)]
    assert np.array(widths) / widths[0] == pytest.approx(np.array(true), rel=0.25)
    # Blocks of single bars take rows for independent: they would not see it.
    single = np.random.default_rng(0).multinomial(ROWS, np.full(ROWS, 1 / ROWS), 400).astype(np.float32)
    alone = Resampling(start_ns=0, cell_ns=BAR_NS, block_ns=BAR_NS, seed=0, count_DC=single)
    assert width(series(0.8), alone) < 0.5 * widths[2]


@pytest.mark.parametrize("n", [20_000, 23_999])
def test_many_rows_share_cells_and_little_changes(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = series(0.9, n)
    capped = resampling(figure, n=n, span_bars=6)
    assert capped.count_DC.shape[1] <= 1.25 * bootstrap.CELLS
    monkeypatch.setattr(bootstrap, "CELLS", n)
    whole = resampling(figure, n=n, span_bars=6)
    assert whole.count_DC.shape[1] == n
    assert np.std(capped.draws(figure)) == pytest.approx(np.std(whole.draws(figure)), rel=0.12)
    assert capped.blocks(figure.time_ns) == pytest.approx(whole.blocks(figure.time_ns), rel=0.15)


# --- paths ---


def days_of(values: Float64, draws: int = 400, seed: int = 0) -> Resampling:
    """Each value a day of its own."""
    figure = figure_of(figures.mean(values, days(len(values))))
    return Resampling.of(
        [figure], start_ns=0, end_ns=len(values) * DAY_NS, cell_ns=DAY_NS, span_ns=0, seed=seed, draws=draws
    )


def days(n: int) -> Int64:
    return np.arange(n) * DAY_NS


def band_of(values: Float64, draws: int = 400, seed: int = 0) -> tuple[Float64, Float64]:
    band = days_of(values, draws, seed).path_band(values, days(len(values)))
    assert band is not None
    return band


def test_a_band_is_that_of_arch_s_paths_and_ends_in_the_interval_of_the_total() -> None:
    values = lfilter([1], [1, -0.6], np.random.default_rng(3).normal(0.5, 2, size=300))
    drawn = days_of(values)
    paths = np.cumsum(
        [rows[0] for rows, _ in StationaryBootstrap(drawn.block_ns // DAY_NS, values, seed=0).bootstrap(400)], axis=1
    )
    assert drawn.block_ns > DAY_NS, "days that depend on each other"
    low, high = band_of(values)
    steady, stretch = np.mean(values) * np.arange(1, 301), drawn.stretch(drawn.blocks(days(300)))
    for ours, theirs in zip((low, high), np.quantile(paths, [0.025, 0.975], axis=0), strict=True):
        assert (ours - steady) / stretch == pytest.approx(theirs - steady, abs=1e-9)
    total = drawn.interval(figures.total(values, days(300)))
    assert (low[-1], high[-1]) == pytest.approx(total, rel=1e-4)
    assert (np.diff(high - low)[:100] > 0).mean() > 0.8, "the further, the wider"


def test_a_band_holds_the_expected_end_of_independent_days_in_95_of_100_and_more_before() -> None:
    ends, middles = [], []
    for seed in range(100):
        values = np.random.default_rng(seed).normal(1.0, 5.0, size=90)
        low, high = band_of(values, draws=200, seed=seed)
        ends.append(low[-1] < 90.0 < high[-1])
        middles.append(low[44] < 45.0 < high[44])
    assert 88 <= sum(ends) <= 100 and sum(middles) >= sum(ends)


def test_days_that_depend_on_each_other_widen_a_band_all_along() -> None:
    """Their order inside blocks is kept: alone or shuffled they would wander less."""
    values = lfilter([1], [1, -0.8], np.random.default_rng(4).normal(size=400))
    together, apart = (
        np.subtract(*band_of(one)[::-1]) for one in (values, np.random.default_rng(5).permutation(values))
    )
    assert (together[20:] > 1.5 * apart[20:]).all()


# --- where nothing is said ---


def test_there_is_no_band_of_a_few_days() -> None:
    values = np.random.default_rng(6).normal(size=MINIMUM_BLOCKS)
    assert days_of(values).path_band(values, days(len(values))) is not None
    assert days_of(values[1:]).path_band(values[1:], days(len(values) - 1)) is None


def test_nothing_is_said_of_nothing_or_of_few_blocks() -> None:
    drawn = resampling(span_bars=2)
    assert drawn.interval(None) is None
    block_bars = SPANS_A_BLOCK * 2
    assert drawn.block_ns == block_bars * BAR_NS
    enough = MINIMUM_BLOCKS * block_bars
    values = np.random.default_rng(5).normal(size=enough)
    assert drawn.interval(figures.mean(values, times(enough))) is not None
    assert drawn.interval(figures.mean(values[:-block_bars], times(enough - block_bars))) is None
    # It is blocks with rows that count: many rows in few blocks know little, few rows in many blocks may know enough.
    apart = np.arange(MINIMUM_BLOCKS) * drawn.block_ns
    assert drawn.interval(figures.mean(values[: len(apart)], apart)) is not None
    assert drawn.interval(figures.mean(values[: len(apart)], apart // 2)) is None


@pytest.mark.parametrize("time_ns", [-BAR_NS, ROWS * BAR_NS])
def test_rows_outside_the_resampled_time_are_our_own_mistake(time_ns: int) -> None:
    outside = figures.mean(np.array([1.0, 2.0]), np.array([0, time_ns]))
    with pytest.raises(AssertionError, match="rows lie in the resampled time"):
        resampling(outside)
    with pytest.raises(AssertionError, match="rows lie in the resampled time"):
        resampling().interval(figures.mean(np.ones(ROWS + 1), np.append(times(ROWS), time_ns)))


def test_a_difference_is_known_no_better_than_its_sparser_side() -> None:
    """Twenty rows of one afternoon against a year: they lie in one block, and say nothing of another afternoon."""
    rng = np.random.default_rng(0)
    bar_ns, n = 300 * 10**9, 20_000
    many = figures.mean(rng.normal(size=n), np.arange(n) * bar_ns)
    few = figures.mean(rng.normal(size=20), np.arange(20) * bar_ns)
    assert many is not None and few is not None
    draws = Resampling.of([many], start_ns=0, end_ns=n * bar_ns, cell_ns=bar_ns, span_ns=3 * bar_ns, seed=0, draws=200)
    assert draws.interval(many) is not None and draws.interval(few) is None
    assert draws.interval(few - many) is None and draws.interval(many - few) is None
    assert draws.interval(many - many) == pytest.approx((0.0, 0.0), abs=1e-12)
