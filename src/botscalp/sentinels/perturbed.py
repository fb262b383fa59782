"""S4 beyond the features: what has not happened yet changes no label that is fitted on, no fit, and no decision."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from botscalp import indicators
from botscalp.backtest import Backtest, Bracket
from botscalp.backtest.records import TRADE
from botscalp.data.corruption import CORRUPTIONS, Fork, corrupted
from botscalp.features.samples import Timeline
from botscalp.pipeline.light_sentinels import Point, counted, random_points
from botscalp.pipeline.market import Market
from botscalp.pipeline.panel import Panel
from botscalp.pipeline.predictions import ModelPredictions
from botscalp.pipeline.rules import Rule
from botscalp.pipeline.scores import StoredScores
from botscalp.pipeline.trading import chosen_brackets
from botscalp.pipeline.window import FittedModel, FittedWindow, inputs_of
from botscalp.sentinels.walk import Pipeline, Walk, seeded
from botscalp.types import Bars, Bool, Float32, Float64, Int64
from botscalp.windows import Window

DECIDED_BARS = 100
"""up to a point, whose decisions are compared"""
POINTS_AT_ONCE = 32
"""whose bars are in memory together"""
LATER_BARS = 20
"""behind it that are predicted too: a decision may not know what is said of them"""

# What each sentinel's generator is for.
_LABELS, _FIT, _DECISIONS = 4, 5, 6


def future_labels(pipeline: Pipeline, panel: Panel, windows: Sequence[Window], *, seed: int) -> Rule:
    """A label that is fitted on knows nothing of the next range: the purge is there, and as long as the label looks."""
    found, looked_at = [], 0
    for bars in panel.bars:
        label_T = pipeline.experiment.label.labels(bars)
        for window in windows:
            for name, part, next_start_ns in (
                ("train", window.train, window.stopping.start_ns),
                ("validation's first half", window.stopping, window.calibration.start_ns),
                ("validation's second half", window.calibration, window.test.start_ns),
            ):
                rows = slice(*np.searchsorted(bars.open_time_ns, (part.start_ns, part.end_ns)))
                first = int(np.searchsorted(bars.open_time_ns, next_start_ns))
                same = np.ones(rows.stop - rows.start, np.bool_)
                for kind in CORRUPTIONS:
                    other = corrupted(bars, first, kind, seeded(seed, _LABELS, window.index))
                    same &= _equal(pipeline.experiment.label.labels(other)[rows], label_T[rows])
                looked_at += len(same)
                found += [f"{bars.symbol}, {name} of window {window.index}"] * int((~same).sum())
    words = "labels that a window fits on and that changed with the bars of its next range"
    return counted("future_perturbation_labels", found, looked_at, words)


def future_fit(pipeline: Pipeline, walk: Walk, *, seed: int) -> Rule:
    """What the last window fits is the same, to the last bit, when it is fitted on bars whose test range is noise.

    On a GPU training is not the same twice, so both fits are made on the CPU there.
    """
    window, kept = walk.windows[-1], walk.fits[-1]
    if pipeline.device != "cpu":
        kept = pipeline.fit(walk.panel, window, "S4 as it was, on the CPU", device="cpu")
    noisy = tuple(
        corrupted(one, int(np.searchsorted(one.open_time_ns, window.test.start_ns)), "noise", seeded(seed, _FIT, s))
        for s, one in enumerate(walk.panel.bars)
    )
    panel = pipeline.panel(noisy)
    again = pipeline.fit(panel, window, "S4 test bars are noise", device="cpu")
    mine, other = _fitted(pipeline, walk.panel, kept), _fitted(pipeline, panel, again)
    found = [name for name in mine if mine[name] != other[name]]
    words = f"parts of window {window.index} that are fitted and changed with the bars of its test"
    rule = counted("future_perturbation_fit", found, len(mine), words)
    return replace(rule, words=f"{words}, of {len(mine)}: {', '.join(found)}") if found else rule


def _fitted(pipeline: Pipeline, panel: Panel, fit: FittedWindow) -> dict[str, object]:
    """Whatever is fitted or chosen before the test, part by part, so that equal means the same bits."""
    backtest = pipeline.experiment.backtest
    validation = ModelPredictions.of(panel, [fit]).validation
    return {
        "weights": [{name: one.numpy().tobytes() for name, one in model.weights.items()} for model in fit.models],
        "scaler": [model.scaler.as_dict() for model in fit.models],
        "calibrator": [model.calibrator.as_dict() for model in fit.models],
        "base rate": fit.base_rate,
        "losses of its epochs": fit.history,
        "probabilities of validation": (fit.calibration.p_raw.tobytes(), fit.calibration.p.tobytes()),
        "bracket": chosen_brackets(Market.load(panel.bars, backtest), backtest, validation, 1),
    }


def future_decisions(pipeline: Pipeline, walk: Walk, brackets: Sequence[Bracket], *, points: int, seed: int) -> Rule:
    """With the kept fits, probabilities of test bars up to t and what is entered by t do not know the bars after t."""
    found, looked_at = [], 0
    for number, (window, fit) in enumerate(zip(walk.windows, walk.fits, strict=True)):
        panel, lookback_bars = walk.panel, pipeline.experiment.features.lookback_bars
        inside = (panel.open_time_ns >= window.test.start_ns) & (panel.open_time_ns < window.test.end_ns)
        chosen = random_points(
            panel,
            points=-(-points // len(walk.windows)),
            seed=seed + _DECISIONS + number,
            least=lookback_bars,
            after=1,
            inside=inside & panel.predictable_N,
        )
        looked_at += len(chosen)
        for model in fit.models:
            mine = [point for point in chosen if point.bars.symbol in model.symbols]
            for first in range(0, len(mine), POINTS_AT_ONCE):
                some = mine[first : first + POINTS_AT_ONCE]
                for point, what in _changed_decisions(pipeline, model, brackets[number], some):
                    found.append(f"{what}, at or before {point.text}")
    words = "points at which a decision up to a bar changed with the bars after it"
    return counted("future_perturbation_decisions", found, looked_at, words)


def _changed_decisions(
    pipeline: Pipeline, model: FittedModel, bracket: Bracket, points: Sequence[Point]
) -> Iterator[tuple[Point, str]]:
    """The points where something decided differs between the two futures, and what."""
    features = pipeline.experiment.features
    forks = [point.fork(2 * features.lookback_bars + features.lags + DECIDED_BARS) for point in points]
    decided = _decided(pipeline, model, bracket, forks)
    for point, forked, mine, other in zip(points, forks, decided[::2], decided[1::2], strict=True):
        # An order of a signal may find no bar to fill in where bars are missing: only what was filled is compared.
        same_times = len(forked.bars) == len(forked.other)
        for what in mine:
            if mine[what] != other[what] and (same_times or what != "a signal"):
                yield point, what
                break


def _decided(pipeline: Pipeline, model: FittedModel, bracket: Bracket, forks: Sequence[Fork]) -> list[dict[str, bytes]]:
    """What was decided up to the last common bar, in both versions of each fork in turn; all are predicted in one go."""
    from botscalp.training.by_model import forecaster_of

    experiment = pipeline.experiment
    stretches = [(bars, one.last) for one in forks for bars in (one.bars, one.other)]
    panels = [pipeline.panel((bars,)) for bars, _ in stretches]
    rows = []
    for panel, (_, last) in zip(panels, stretches, strict=True):
        mine = np.flatnonzero(panel.predictable_N[: last + 1 + LATER_BARS])
        rows.append(mine[mine > last - DECIDED_BARS])
    x_NF = inputs_of(
        np.concatenate([panel.x_NF for panel in panels]),
        np.concatenate([np.full(len(bars), model.symbols.index(bars.symbol)) for bars, _ in stretches]),
        model.symbols,
        scaler=model.scaler,
        trainer=experiment.trainer,
    )
    first = np.cumsum([0, *(len(panel.x_NF) for panel in panels)])
    every_row = np.concatenate([begin + mine for begin, mine in zip(first[:-1], rows, strict=True)])
    forecaster = forecaster_of(
        experiment.model,
        n_features=x_NF.shape[1],
        lags=experiment.features.lags,
        settings=experiment.trainer,
        device="cpu",
        seed=0,
    )
    forecaster.load(model.weights)
    timeline = Timeline.of([bars for bars, _ in stretches], experiment.features.lookback_bars)
    p_raw = forecaster.predict(x_NF=x_NF, timeline=timeline, rows=every_row)
    each_p = np.split(model.calibrator.calibrated(p_raw), np.cumsum([len(mine) for mine in rows])[:-1])
    return [
        {"a probability": p[mine <= last].tobytes(), **_traded(experiment.backtest, bracket, bars, mine, p, last)}
        for (bars, last), mine, p in zip(stretches, rows, each_p, strict=True)
    ]


def _traded(backtest: Backtest, bracket: Bracket, bars: Bars, rows: Int64, p: Float64, last: int) -> dict[str, bytes]:
    """What trading knew at the close of row `last`: its unit of distance, its signals, its entries, what was over.

    Without finer bars and funding, whose files know no other future; without least sizes, which prices to come decide on.
    """
    plain = replace(backtest, finer=None, funding=None, step=None, min_notional=0.0)
    atr_T = indicators.atr(bars, plain.atr_span)
    market = Market(bars=(bars,), atr=(atr_T,), funding=(None,), finer=(None,))
    zeros = np.zeros(len(rows), np.int64)
    scores = StoredScores(open_time_ns=bars.open_time_ns[rows], symbol=zeros, window=zeros, p=p)
    span_ns = (int(bars.open_time_ns[0]), int(bars.close_time_ns[-1]))
    trades = plain.run(market.predicted(scores, span_ns, np.zeros(1, np.int64)), [bracket]).records

    def bits(known: Bool, names: Sequence[str]) -> bytes:
        return b"".join(np.ascontiguousarray(trades[known][name]).tobytes() for name in names)

    return {
        "the ATR": atr_T[: last + 1].tobytes(),
        "a signal": bits(trades["signal"] <= last, ("signal", "side")),
        "an entry": bits(trades["entry"] <= last, ("signal", "entry", "side", "size_base", "entry_price")),
        "a trade that was over": bits(trades["exit"] <= last, TRADE.names or ()),
    }


def _equal(a: Float32, b: Float32) -> Bool:
    """Element by element, NaN equal to NaN."""
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))
