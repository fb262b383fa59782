"""Sentinels that train again where the right answer is known: S1 on shuffled labels, S2 without and S3 with a signal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from botscalp.backtest import Result
from botscalp.pipeline.light_sentinels import interval_of, single_feature_auc
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.predictions import ModelPredictions, Predictions
from botscalp.pipeline.rules import Result as Outcome
from botscalp.pipeline.rules import Rule
from botscalp.sentinels.surrogates import last_sign, martingale_bars, momentum_bars, reversed_labels, shuffled_labels
from botscalp.sentinels.walk import Pipeline, seeded
from botscalp.statistics import figures
from botscalp.statistics.figures import Figure
from botscalp.types import Bars, Bool, Float64, Int64
from botscalp.windows import Window

CONFIDENCE = 0.995
PAIRS = 3
"""of trainings on shuffled labels, at the least"""
PAIRS_CONFIDENCE = 0.99
LEAST_AUC = 0.005
"""off one half, below which a pair says nothing: twins are no perfect mirrors"""
PLANTED_AUC, PLANTED_TOLERANCE = 0.585, 0.002
"""of the known score: about the best that liquid markets give, so that training has to work for it"""
MISSED_AUC = 0.01
MOST_REPEATED = 0.98
"""probability with which a sign repeats, beyond which bars are hardly bars any more"""

# What each sentinel's generator is for.
_SHUFFLED, _MARTINGALE, _PLANTED = 1, 2, 3


def pairs(windows: int) -> int:
    """How many pairs are trained: PAIRS at the least, and as many in each window."""
    return -(-PAIRS // windows) * windows


def shuffled(pipeline: Pipeline, panel: Panel, windows: Sequence[Window], *, seed: int) -> Rule:
    """S1: models that learnt from labels in disorder rank nothing on real ones.

    Where features do tell something, one such model is off one half by far: whatever it learnt by accident ranks by them.
    So each has a twin, trained on the same labels reversed, which is off by as much the other way, and at least three pairs
    are made: the interval is the wider of the block bootstrap's and of Student's over pairs.
    """
    made = []
    for number in range(pairs(len(windows))):
        window = windows[number % len(windows)]
        labels = shuffled_labels(
            panel, window, seeded(seed, _SHUFFLED, number), block=pipeline.experiment.label.span_bars
        )
        fits = [
            pipeline.fit(replace(panel, label_N=one), window, "S1 shuffled labels")
            for one in (labels, reversed_labels(panel, window, labels))
        ]
        made.append(_mean([auc for fit in fits for auc in _window_aucs(ModelPredictions.of(panel, [fit]).test)]))
    aucs = [pair for pair in made if pair is not None]
    figure = _mean(aucs)
    low, high = _interval(figure, pipeline, panel, seed)
    if figure is not None and low is not None and high is not None:
        values = np.array([auc.value for auc in aucs])
        half = student.ppf((1 + PAIRS_CONFIDENCE) / 2, len(aucs) - 1) * values.std(ddof=1) / np.sqrt(len(aucs))
        half = max(half, LEAST_AUC)
        low, high = min(low, figure.value - half), max(high, figure.value + half)
    return _rule(
        "shuffled_labels",
        figure,
        low,
        high,
        line=0.5,
        fired=low is not None and high is not None and not low <= 0.5 <= high,
        words="mean AUC on real test labels of models trained on shuffled ones, and on those reversed",
    )


def martingale(pipeline: Pipeline, bars: tuple[Bars, ...], windows: Sequence[Window], *, seed: int) -> list[Rule]:
    """S2: on bars whose directions are coins the whole pipeline finds nothing, and its trades earn minus their costs."""
    experiment = pipeline.experiment
    surrogate = tuple(martingale_bars(one, seeded(seed, _MARTINGALE, s)) for s, one in enumerate(bars))
    walk = pipeline.walk(pipeline.panel(surrogate), windows, "S2 martingale bars")
    auc = _mean(_window_aucs(walk.test))
    low, high = _interval(auc, pipeline, walk.panel, seed)
    result = pipeline.trade_without_skill(walk).result
    gross = figures.mean(*_marked_bps(result))
    gross_low, gross_high = _interval(gross, pipeline, walk.panel, seed)
    return [
        _rule(
            "martingale_bars",
            auc,
            low,
            high,
            line=0.5,
            fired=low is not None and low > 0.5,
            words="AUC of the pipeline on bars of the same ranges and volumes whose directions are coins",
        ),
        _rule(
            "martingale_gross_bps",
            gross,
            gross_low,
            gross_high,
            line=0.0,
            fired=gross_low is not None and gross_low > 0.0,
            words=f"gross bps a trade on such bars, marked at the close of the bar that ends it; {_net(result)}",
        ),
        single_feature_auc(
            walk.panel, walk.test, experiment.features, experiment.label, seed=seed, prefix="martingale_"
        ),
    ]


def planted(pipeline: Pipeline, bars: tuple[Bars, ...], windows: Sequence[Window], *, seed: int) -> Rule:
    """S3: momentum in the signs of returns, as strong as a known score's AUC of 0.585, is found by training."""
    momentum = _momentum(pipeline, bars, windows, seed=seed)
    if momentum is None:
        words = f"no momentum gives the last return's sign an AUC of {PLANTED_AUC} for this label: nothing was planted"
        return Rule(name="planted_signal", result="clear", value=None, threshold=None, words=words)
    walk = pipeline.walk(pipeline.panel(momentum.bars), windows, "S3 planted signal")
    model = _mean(_window_aucs(walk.test))
    known = _mean(_window_aucs(replace(walk.test, p_raw=momentum.score_N[walk.test.row])))
    missed = None if model is None or known is None else model - known
    low, high = _interval(missed, pipeline, walk.panel, seed)
    reached = "" if model is None or known is None else f" ({model.value:.4f} of {known.value:.4f})"
    return _rule(
        "planted_signal",
        missed,
        low,
        high,
        line=-MISSED_AUC,
        fired=high is not None and high < -MISSED_AUC,
        words=f"AUC less that of the last return's sign, where that sign repeats with probability "
        f"{momentum.repeat:.3f}{reached}",
    )


@dataclass(frozen=True)
class _Momentum:
    bars: tuple[Bars, ...]
    repeat: float
    score_N: Float64


def _momentum(pipeline: Pipeline, bars: tuple[Bars, ...], windows: Sequence[Window], *, seed: int) -> _Momentum | None:
    """The momentum at which the last return's sign has PLANTED_AUC on the tests, by bisection; None if there is none."""
    low, high = 0.5, MOST_REPEATED
    for repeat in (high, *(0.0 for _ in range(20))):
        repeat = repeat or (low + high) / 2
        made = tuple(momentum_bars(one, seeded(seed, _PLANTED, s), repeat=repeat) for s, one in enumerate(bars))
        score_N = np.concatenate([last_sign(one) for one in made])
        auc = _known_auc(pipeline, made, windows, score_N)
        if auc is None or (repeat == MOST_REPEATED and auc < PLANTED_AUC):
            return None
        if abs(auc - PLANTED_AUC) <= PLANTED_TOLERANCE:
            break
        low, high = (low, repeat) if auc > PLANTED_AUC else (repeat, high)
    return _Momentum(made, repeat, score_N)


def _known_auc(pipeline: Pipeline, bars: tuple[Bars, ...], windows: Sequence[Window], score_N: Float64) -> float | None:
    label_N = np.concatenate([pipeline.experiment.label.labels(one) for one in bars])
    time_ns = np.concatenate([one.open_time_ns for one in bars])
    tested = np.zeros(len(time_ns), bool)
    for window in windows:
        tested |= (time_ns >= window.test.start_ns) & (time_ns < window.test.end_ns)
    rows = tested & ~np.isnan(label_N)
    figure = figures.auc(score_N[rows], label_N[rows].astype(np.float64), time_ns[rows])
    return None if figure is None else figure.value


def _window_aucs(predictions: Predictions) -> list[Figure]:
    """The AUC of each window: a calibrator's own level does not mix with what a model ranks."""
    aucs = []
    for window in np.unique(predictions.window):
        rows: Bool = predictions.of_window(window)
        auc = figures.auc(predictions.p_raw[rows], predictions.label[rows], predictions.open_time_ns[rows])
        if auc is not None:
            aucs.append(auc)
    return aucs


def _mean(aucs: Sequence[Figure]) -> Figure | None:
    """The mean of figures of different rows."""
    if not aucs:
        return None
    return Figure(
        float(np.mean([auc.value for auc in aucs])),
        np.concatenate([auc.contribution for auc in aucs]) / len(aucs),
        np.concatenate([auc.time_ns for auc in aucs]),
    )


def _marked_bps(result: Result) -> tuple[Float64, Int64]:
    """What each trade came to by the close of the bar that ends it, in bps, and when it was entered; shape (n,).

    Not by its exit: inside a bar the user's market may well have a direction, such as past a stop that is filled at its
    level. From close to close these bars have none.
    """
    bps, time_ns = [], []
    for predicted_bars, trades in zip(result.market, result.trades_of, strict=True):
        bars = predicted_bars.bars
        bps.append(1e4 * trades["side"] * (bars.close[trades["exit"]] / bars.open[trades["entry"]] - 1))
        time_ns.append(bars.open_time_ns[trades["entry"]])
    return np.concatenate(bps), np.concatenate(time_ns)


def _net(result: Result) -> str:
    """What is left after costs."""
    net = result.summary.mean_net_bps
    gross = result.summary.mean_gross_bps
    if net is None or gross is None:
        return "there were no trades"
    return (
        f"by its own exit {gross:+.2f}, and net {net:+.2f}: without a direction to know, that is about minus the costs"
    )


def _interval(figure: Figure | None, pipeline: Pipeline, panel: Panel, seed: int) -> tuple[float | None, float | None]:
    span_bars = pipeline.experiment.label.span_bars
    return interval_of(figure, span_bars, panel.interval_ns, seed=seed, confidence=CONFIDENCE)


def _rule(
    name: str, figure: Figure | None, low: float | None, high: float | None, *, line: float, fired: bool, words: str
) -> Rule:
    outcome: Outcome = "fired" if fired else "clear"
    value = None if figure is None else figure.value
    return Rule(name=name, result=outcome, value=value, low=low, high=high, threshold=line, words=words)
