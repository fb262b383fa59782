"""A small walk whose only difference between drills is how much there is to find: what the verdict makes of nothing, and of much."""

from pathlib import Path
from typing import Any

from runs import walk

ONE_RETURN = (
    *("features=ohlcv", "features.returns=[1]", "features.lags=24"),
    *(f"features.{family}=[]" for family in ("rsi", "ema", "macd", "atr", "bollinger", "vwap", "volume", "volatility")),
)
"""The last bar's return and nothing else: the slow signal stands in the past ones, which the linear baseline cannot see."""
WORDS = (
    *("data.interval=15m", "data.start=2023-01-01", "data.end=2023-09-01", "data.signal_persistence=0.97"),
    *ONE_RETURN,
    *("label.horizon=1", "wfo=monthly", "wfo.train=2mo", "wfo.windows=4"),
    *("model.hidden=8", "trainer.epochs=3", "trainer.batch=256"),
    *("backtest.taker_bps=0.2", "backtest.maker_bps=0.1", "backtest.slippage_bps=0.1"),
    "verdict.max_decay=0.05",
    "+verdict.overrides.real_data={by: drill, reason: simulated on purpose}",
    "tracking=mlflow",
)


def verdict_of(folder: Path, *, edge: float, seed: int, words: tuple[str, ...] = ()) -> dict[str, Any]:
    """The verdict on a market of that edge and seed; all runs share the store beside `folder`."""
    run = walk(folder, *WORDS, f"data.edge={edge}", f"data.seed={seed}", f"seed={seed}", *words)
    verdict: dict[str, Any] = run.summary["verdict"]
    print(f"edge {edge} seed {seed}: {verdict['outcome']} {verdict['reasons']}")
    return verdict
