"""What predictions would have earned: fills, costs, equity, and the figures drawn from them.

Numba and pandas are imported at the first run and the first table, not here: a config that only names
`Backtest` is checked without them.
"""

from botscalp.backtest.anatomy import Anatomy, Excursions, anatomy, excursions
from botscalp.backtest.costs import cost_levels
from botscalp.backtest.engine import Bracket
from botscalp.backtest.performance import Summary, summarize
from botscalp.backtest.result import Funding, PredictedBars, Result
from botscalp.backtest.settings import Backtest, Candidates
from botscalp.backtest.sweep import sweep
from botscalp.backtest.ticks import inferred_tick
from botscalp.backtest.variants import SizeRow, buy_and_hold, size_table

__all__ = [
    "Anatomy",
    "Backtest",
    "Bracket",
    "Candidates",
    "Excursions",
    "Funding",
    "PredictedBars",
    "Result",
    "SizeRow",
    "Summary",
    "anatomy",
    "buy_and_hold",
    "cost_levels",
    "excursions",
    "inferred_tick",
    "size_table",
    "summarize",
    "sweep",
]
