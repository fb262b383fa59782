"""What every run checks of itself: clear on honest runs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from runs import composed

from botscalp.backtest import Backtest
from botscalp.backtest.records import REASONS
from botscalp.pipeline.light_sentinels import fills_after_signal, light_sentinels, single_feature_auc, warm_up
from botscalp.pipeline.market import Market
from botscalp.pipeline.panel import Panel, build_panel
from botscalp.pipeline.predictions import Predictions
from botscalp.pipeline.trading import Traded
from botscalp.types import Float64

EXPERIMENT = composed("data.edge=0.08")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return build_panel(EXPERIMENT.data.load(), features=EXPERIMENT.features, label=EXPERIMENT.label, seed=0)


@pytest.fixture(scope="module")
def predictions(panel: Panel) -> Predictions:
    """A coin's, over two weeks."""
    rows = np.flatnonzero(panel.predictable_N)[-4_032:]
    p = np.random.default_rng(0).uniform(0.4, 0.6, len(rows))
    return Predictions(
        row=rows,
        open_time_ns=panel.open_time_ns[rows],
        symbol=panel.symbol_N[rows],
        window=np.repeat([0, 1], 2_016),
        p_raw=p,
        p=p,
        label=panel.label_N[rows].astype(np.float64),
        base_rate=np.full(len(rows), 0.5),
    )


def traded(predictions: Predictions, **settings: Any) -> tuple[Traded, Backtest]:
    backtest = replace(EXPERIMENT.backtest, **settings)
    market = Market.load(EXPERIMENT.data.load(), backtest)
    middle_ns = int(predictions.open_time_ns[2_016])
    span_ns = (int(predictions.open_time_ns[0]), int(predictions.open_time_ns[-1]) + 1)
    brackets = [backtest.bracket, replace(backtest.bracket, stop_atr=1.0, target_atr=1.0)]
    result = backtest.run(market.predicted(predictions, span_ns, np.array([span_ns[0], middle_ns])), brackets)
    return Traded(result=result, brackets=brackets, baselines={}, sizes=[], at_costs={}, before={}), backtest


def test_an_honest_run_is_clear(panel: Panel, predictions: Predictions) -> None:
    trades, backtest = traded(predictions)
    rules = light_sentinels(
        panel=panel,
        predictions=predictions,
        traded=trades,
        features=EXPERIMENT.features,
        label=EXPERIMENT.label,
        backtest=backtest,
        seed=0,
    )
    assert [rule.name for rule in rules] == [
        "prefix_invariance",
        "future_perturbation_features",
        "warm_up",
        "single_feature_auc",
        "fills_after_signal",
    ]
    assert {rule.result for rule in rules} == {"clear"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"latency_bars": 2},
        {"spread_bps": 3.0},
        {"tick": 0.5, "round_prices": True},
        {
            "kelly_fraction": 1.0,
            "notional": None,
            "max_exposure": 1.0,
            "spread_bps": 9.0,
            "tick": 2.0,
            "slippage_bps": None,
            "slippage_ticks": 1.0,
        },
    ],
)
def test_honest_fills_are_clear_whatever_the_costs(predictions: Predictions, settings: dict[str, float]) -> None:
    trades, backtest = traded(predictions, **settings)
    assert len(trades.result.records) > 200
    rule = fills_after_signal(trades, backtest)
    assert rule.result == "clear", rule.words


@pytest.mark.parametrize("bps", [0.01, 5.0])
def test_a_fill_better_than_the_open_fires(predictions: Predictions, bps: float) -> None:
    trades, backtest = traded(predictions)
    records = trades.result.records
    records["entry_price"][7] *= 1 - records["side"][7] * bps * 1e-4
    rule = fills_after_signal(trades, backtest)
    assert rule.result == "fired" and "filled better than the open" in rule.words


@pytest.mark.parametrize("reason", range(3), ids=REASONS[:3])
def test_an_exit_better_than_due_fires(predictions: Predictions, reason: int) -> None:
    trades, backtest = traded(predictions)
    records = trades.result.records
    (mine, *_) = np.flatnonzero(records["reason"] == reason)
    records["exit_price"][mine] *= 1 + records["side"][mine] * 2e-4  # more than the slippage that a stop pays
    rule = fills_after_signal(trades, backtest)
    assert (rule.result, rule.value) == ("fired", 1.0) and "left better than it was due" in rule.words


def telling(panel: Panel, predictions: Predictions, column: Float64) -> Panel:
    """The panel with this in place of its first feature on the predicted rows."""
    x_NF = panel.x_NF.copy()
    x_NF[predictions.row, 0] = column
    return replace(panel, x_NF=x_NF)


@pytest.mark.parametrize(("weight", "result"), [(0.0, "clear"), (1.0, "fired"), (-1.0, "fired")])
def test_a_feature_that_tells_the_label_fires_on_all_rows(
    panel: Panel, predictions: Predictions, weight: float, result: str
) -> None:
    noise = np.random.default_rng(1).standard_normal(len(predictions.row))
    column = noise + weight * np.nan_to_num(predictions.label)
    rule = single_feature_auc(
        telling(panel, predictions, column), predictions, EXPERIMENT.features, EXPERIMENT.label, seed=0
    )
    assert rule.result == result
    if result == "fired":
        assert rule.low is not None and rule.high is not None and rule.value is not None
        assert "return_1" in rule.words and "all test rows" in rule.words
        assert (rule.value > 0.7, rule.threshold) == ((True, 0.6) if weight > 0 else (False, 0.4))


def test_a_feature_that_tells_one_window_fires_there(panel: Panel, predictions: Predictions) -> None:
    noise = np.random.default_rng(1).standard_normal(len(predictions.row))
    turned = np.where(predictions.window == 1, 1.0, -1.0) * (np.nan_to_num(predictions.label) - 0.5)
    rule = single_feature_auc(
        telling(panel, predictions, noise + turned), predictions, EXPERIMENT.features, EXPERIMENT.label, seed=0
    )
    assert rule.result == "fired" and "the test of window" in rule.words


def test_warm_up_clears_what_weighs_a_millionth_and_fires_at_more(panel: Panel) -> None:
    """An EMA of 48 bars is warm after its declared lookback; half of it leaves a thousandth of the seed."""

    class Short(type(EXPERIMENT.features)):  # type: ignore[misc]
        @property
        def lookback_bars(self) -> int:
            return 150

        def compute(self, bars):  # type: ignore[no-untyped-def]
            return EXPERIMENT.features.compute(bars)

    assert warm_up(panel, EXPERIMENT.features, points=40, seed=0).result == "clear"
    short = Short(**vars(EXPERIMENT.features))
    assert warm_up(panel, short, points=40, seed=0).result == "fired"
