"""What every run checks of itself for less than a hundredth of its time: whether what it knew lay in the past.

Each function gives one rule, fired or clear. The audit (`botscalp.sentinels`) asks the same at more points, and asks
more by training again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from botscalp.backtest import Backtest
from botscalp.data.corruption import CORRUPTIONS, Fork, fork
from botscalp.features.causality import CUTS
from botscalp.features.feature_set import FeatureSet
from botscalp.features.warm_up import MULTIPLES, memory_drift
from botscalp.labels import Label
from botscalp.pipeline.panel import Panel, assembled
from botscalp.pipeline.predictions import Predictions
from botscalp.pipeline.rules import Rule
from botscalp.pipeline.trading import Traded
from botscalp.statistics import figures
from botscalp.statistics.bootstrap import interval_alone
from botscalp.times import time_text
from botscalp.types import Bars, Bool, Float64, Int64

POINTS = 8
"""random bars at which a run perturbs the future and warms up again"""
AFTER_BARS = 300
"""corrupted bars behind such a point: a day of 5-minute bars and a little more, so that a leak of the day's high shows"""
DRIFT_SD = 1e-4
"""of a column's standard deviation; honest features drift by 3e-6 at the most, for seeds weigh 1e-6 by design"""
TELLING_AUC = 0.60
"""of one feature by itself; on real bars the best one gives 0.54"""
CONFIDENCE = 0.99
_FILL_ROUNDING = 1e-9
"""of the price"""


def light_sentinels(
    *,
    panel: Panel,
    predictions: Predictions,
    traded: Traded,
    features: FeatureSet,
    label: Label,
    backtest: Backtest,
    seed: int,
) -> list[Rule]:
    """The sentinels that need no training.

    Args:
        panel: as `build_panel` gave it, so that its features have passed the check on prefixes.
        predictions: of the test ranges.
        traded: what trading them gave, with each window's bracket.
        seed: of the random bars.
    """
    return [
        prefixes_passed(CUTS),
        future_features(panel, features, label, points=POINTS, seed=seed),
        warm_up(panel, features, points=POINTS, seed=seed),
        single_feature_auc(panel, predictions, features, label, seed=seed),
        fills_after_signal(traded, backtest),
    ]


def prefixes_passed(cuts: int) -> Rule:
    """S5, where no prefix gave other features: what `build_panel` makes sure of."""
    words = f"prefixes of the bars that give other features, of {cuts} a symbol"
    return Rule(name="prefix_invariance", result="clear", value=0.0, threshold=0.0, words=words)


def future_features(panel: Panel, features: FeatureSet, label: Label, *, points: int, seed: int) -> Rule:
    """S4: features at bars up to t, and which of them can be predicted from, do not know the bars after t."""
    before = 2 * features.lookback_bars + features.lags
    names = (*(column.name for column in features.columns), "whether a bar can be predicted")

    def changed(forked: Fork) -> str | None:
        mine, other = (assembled((bars,), features=features, label=label) for bars in (forked.bars, forked.other))
        known = slice(0, forked.last + 1)
        differs_TF = mine.x_NF[known].view(np.uint32) != other.x_NF[known].view(np.uint32)
        differs_TF &= ~(np.isnan(mine.x_NF[known]) & np.isnan(other.x_NF[known]))
        differs = [*differs_TF.any(axis=0), bool((mine.predictable_N[known] != other.predictable_N[known]).any())]
        return ", ".join(name for name, different in zip(names, differs, strict=True) if different) or None

    chosen = random_points(panel, points=points, seed=seed, least=features.lookback_bars, after=1)
    found = [f"{what}, at or before {point.text}" for point in chosen if (what := changed(point.fork(before)))]
    words = "points at which features up to a bar changed with the bars after it"
    return counted("future_perturbation_features", found, len(chosen), words)


def warm_up(panel: Panel, features: FeatureSet, *, points: int, seed: int) -> Rule:
    """S6: features remember no more than they declare."""
    lookback_bars = features.lookback_bars
    drift = np.zeros((len(MULTIPLES), len(features.columns)))
    for position, (bars, x_TF) in enumerate(zip(panel.bars, panel.features, strict=True)):
        # Where there is room, four times the lookback is not yet the whole past.
        first = min(MULTIPLES[-1] * lookback_bars + 1, len(bars) // 2)
        rows = np.random.default_rng([seed, position]).integers(first, len(bars), -(-points // len(panel.bars)))
        more = memory_drift(features.compute, bars, x_TF, lookback_bars=lookback_bars, rows=rows)
        drift = np.maximum(drift, more)
    worst = int(drift[0].argmax())
    shown = ", ".join(f"{change:.1g} from {k} x" for k, change in zip(MULTIPLES, drift[:, worst], strict=True))
    return Rule(
        name="warm_up",
        result="fired" if drift[0, worst] > DRIFT_SD else "clear",
        value=float(min(drift[0, worst], 1e9)),
        threshold=DRIFT_SD,
        words=f"standard deviations by which {features.columns[worst].name} changes when computed from the "
        f"{lookback_bars} bars that the features declare to need ({shown})",
    )


def single_feature_auc(
    panel: Panel, predictions: Predictions, features: FeatureSet, label: Label, *, seed: int, prefix: str = ""
) -> Rule:
    """S7: no feature by itself tells the label, on all test rows or in one window."""
    rows = predictions.labelled
    x_nF, up = panel.x_NF[predictions.row[rows]], predictions.label[rows] == 1.0
    window, time_ns = predictions.window[rows], predictions.open_time_ns[rows]
    parts = [np.ones(len(up), bool), *(window == one for one in np.unique(window))]
    aucs_PF = np.array([[_rank_auc(x_nF[part, f], up[part]) for f in range(x_nF.shape[1])] for part in parts])
    away_PF = np.abs(aucs_PF - 0.5)
    # All rows first: their interval is the shortest, so what does not fire there may still fire in a window.
    part, f = 0, int(away_PF[0].argmax())
    low = high = None
    for candidate in (0, int(away_PF.max(axis=1).argmax())):
        worst = int(away_PF[candidate].argmax())
        if away_PF[candidate, worst] <= TELLING_AUC - 0.5:
            continue  # an interval holds its figure: nothing can fire
        mine = parts[candidate] & np.isfinite(x_nF[:, worst])
        figure = figures.auc(x_nF[mine, worst].astype(np.float64), up[mine].astype(np.float64), time_ns[mine])
        low, high = interval_of(figure, label.span_bars, panel.interval_ns, seed=seed, confidence=CONFIDENCE)
        part, f = candidate, worst
        if low is not None and high is not None and (low > TELLING_AUC or high < 1 - TELLING_AUC):
            break
    fired = low is not None and high is not None and (low > TELLING_AUC or high < 1 - TELLING_AUC)
    where = "all test rows" if part == 0 else f"the test of window {int(np.unique(window)[part - 1])}"
    return Rule(
        name=f"{prefix}single_feature_auc",
        result="fired" if fired else "clear",
        value=float(aucs_PF[part, f]),
        low=low,
        high=high,
        threshold=TELLING_AUC if aucs_PF[part, f] >= 0.5 else 1 - TELLING_AUC,
        words=f"AUC of {features.columns[f].name} by itself, the most telling feature, on {where}",
    )


def fills_after_signal(traded: Traded, backtest: Backtest) -> Rule:
    """S8: a signal of a close is filled at the next open or later, no better than that open, and left no better than due.

    Due is the stop's level for a stop, the target's or the open beyond it for a target, else the open, or the last close.
    """
    found, result = [], traded.result
    stop_atr_W, target_atr_W = (
        np.array([getattr(bracket, name) for bracket in traded.brackets]) for name in ("stop_atr", "target_atr")
    )
    for predicted, trades in zip(result.market, result.trades_of, strict=True):
        bars, side = predicted.bars, trades["side"].astype(np.float64)
        terms = backtest.terms_of([bars.symbol])[0]
        signal, entry, exit_, reason = (trades[name] for name in ("signal", "entry", "exit", "reason"))
        signal_ns = bars.open_time_ns[signal]
        known_ns = signal_ns + (1 + terms["latency_bars"]) * bars.interval_ns
        early = (bars.open_time_ns[entry] < known_ns) | (exit_ < entry)

        quote = bars.open[entry] * (1 + side * terms["half_spread"])
        fill = quote * (1 + side * terms["slippage_rate"]) + side * terms["slippage_price"]
        better = side * (fill - trades["entry_price"])
        window, open_, atr = predicted.window[entry], bars.open[exit_], predicted.atr[signal]
        stop = trades["entry_price"] - side * stop_atr_W[window] * atr
        target = trades["entry_price"] + side * target_atr_W[window] * atr
        beyond = np.where(side > 0, np.maximum(target, open_), np.minimum(target, open_))
        due = np.choose(reason, [stop, beyond, open_, bars.close[exit_]])
        left_better = side * (trades["exit_price"] - due) - terms["tick"]  # levels lie on ticks, away from the fill
        for what, wrong in (
            ("filled before its signal was known", early),
            ("filled better than the open", better > _FILL_ROUNDING * fill),
            ("left better than it was due", left_better > _FILL_ROUNDING * fill),
        ):
            found += [f"{bars.symbol}, signal of {time_text(int(time))}, {what}" for time in signal_ns[wrong]]
    return counted("fills_after_signal", found, len(result.records), "trades filled too early or too well")


@dataclass(frozen=True)
class Point:
    """A random bar of one symbol, and what becomes of the bars after it."""

    bars: Bars
    row: int
    seed: int
    number: int

    def fork(self, before: int) -> Fork:
        """The bars around it, and the same with another future."""
        rng = np.random.default_rng([self.seed, self.number])
        kind = CORRUPTIONS[self.number % len(CORRUPTIONS)]
        return fork(self.bars, self.row, before=before, after=AFTER_BARS, kind=kind, rng=rng)

    @property
    def text(self) -> str:
        """Its time."""
        return f"{self.bars.symbol} {time_text(int(self.bars.open_time_ns[self.row]))}"


def random_points(
    panel: Panel, *, points: int, seed: int, least: int, after: int, inside: Bool | None = None
) -> list[Point]:
    """Random bars with `least` bars before and `after` bars behind, of rows `inside` if given; symbols take turns."""
    rng = np.random.default_rng(seed)
    rows_of: list[Int64] = []
    for first, end in zip(panel.first_row[:-1], panel.first_row[1:], strict=True):
        rows = np.arange(least, end - first - after)
        rows_of.append(rows if inside is None else rows[inside[first + rows]])
    symbols = [position for position, rows in enumerate(rows_of) if len(rows)]
    chosen = [symbols[number % len(symbols)] for number in range(points)] if symbols else []
    return [
        Point(panel.bars[position], int(rng.choice(rows_of[position])), seed, number)
        for number, position in enumerate(chosen)
    ]


def counted(name: str, found: Sequence[str], of: int, words: str) -> Rule:
    """A sentinel that fires at the first fault, of so many looked at; `found` says what each one is."""
    return Rule(
        name=name,
        result="fired" if found else "clear",
        value=float(len(found)),
        threshold=0.0,
        words=f"{words}, of {of:,}" + (f"; the first: {found[0]}" if found else ""),
    )


def interval_of(
    figure: figures.Figure | None, span_bars: int, interval_ns: int, *, seed: int, confidence: float
) -> tuple[float | None, float | None]:
    """A figure's interval by itself; two None where there is none."""
    span_ns = span_bars * interval_ns
    found = interval_alone(figure, cell_ns=interval_ns, span_ns=span_ns, seed=seed, confidence=confidence)
    return found or (None, None)


def _rank_auc(x: Float64, up: Bool) -> float:
    """The AUC of one column; 0.5 where it is undefined."""
    known = np.isfinite(x)
    x, up = x[known], up[known]
    n_up, n_down = int(up.sum()), int((~up).sum())
    if not (n_up and n_down):
        return 0.5
    return float((rankdata(x)[up].sum() - n_up * (n_up + 1) / 2) / (n_up * n_down))
