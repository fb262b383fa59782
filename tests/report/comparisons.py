"""Comparisons for the tests of their page: what compare.json holds, and the runs' days, made up."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

DAYS = 90


def a_run(rank: int, daily_pnl: float, **changes: Any) -> dict[str, Any]:
    """A row of compare.json; the first rank is 1."""
    best = rank == 1
    return {
        "title": f"gru-h{rank}",
        "run": f"id-{rank}",
        "folder": f"/somewhere/{rank}",
        "differs": {"model": "GRU" if rank % 2 else "Linear", "label.horizon": str(3 * rank)},
        "verdict": "INCONCLUSIVE" if rank % 3 else "REJECTED",
        "reasons": ["sharpe"],
        "rules": {
            "real_data": {"result": "pass", "value": 1.0, "threshold": 1.0},
            "sharpe": {"result": "undecided" if rank % 3 else "fail", "value": 1.5 - rank, "threshold": 0.0},
        },
        "auc": an_estimate(0.53 - 0.0001 * rank, 0.01),
        "log_loss": an_estimate(0.6915, 0.0005),
        "brier_skill": an_estimate(0.002, 0.001),
        "trades": 1000 + rank,
        "mean_net_bps": an_estimate(daily_pnl / 5, 2.0),
        "sharpe": an_estimate(1.5 - rank / 10, 1.0),
        "net_pnl": daily_pnl * DAYS,
        "baselines": {
            "linear": {"auc": 0.525, "mean_net_bps": -1.0, "daily_pnl": -2.0},
            "buy_and_hold": {"auc": None, "mean_net_bps": 40.0, "daily_pnl": 1.0},
        },
        "windows": 3,
        "device": "cpu",
        "total_s": 60.0 + rank,
        "fit_s": 30.0,
        "daily_pnl": daily_pnl,
        "daily_sharpe": 1.5 - rank / 10,
        "auc_less_best": an_estimate(None if best else -0.0001 * rank, 0.002),
        "daily_pnl_less_best": an_estimate(None if best else -float(rank), 2.5),
        "as_good_p": 0.9 / rank,
        "standing": "best" if best else "may be as good" if rank <= 3 else "worse",
        **changes,
    }


def an_estimate(value: float | None, reach: float) -> dict[str, float | None]:
    return {
        "value": value,
        "low": None if value is None else value - reach,
        "high": None if value is None else value + reach,
    }


def a_comparison(count: int = 4, **changes: Any) -> dict[str, Any]:
    """What compare.json holds of so many runs, each worse than the one before."""
    measures = (("SPA p", 0.3, "at most", 0.05, "fail"), ("PBO", 0.1, "at most", 0.2, "pass"))
    return {
        "schema": 2,
        "study": "horizons",
        "markets": ["real BTCUSDT 5m"],
        "days": DAYS,
        "first_day": "2024-02-01",
        "last_day": "2024-04-30",
        "unfinished": {"FAILED": 1, "KILLED": 2},
        "luck": {
            "search": {"count": 500, "sharpe_variance": 1.0},
            "spa_p": 0.3,
            "pbo": 0.1,
            "deflated": {"expected_best_sharpe": 1.1, "probability": 0.4},
            "undefined": None,
            "measures": [
                *(
                    {"name": name, "value": value, "good": good, "line": line, "result": result, "words": f"of {name}"}
                    for name, value, good, line, result in measures
                ),
                {
                    **{"name": "deflated Sharpe ratio", "value": 0.4, "good": "at least", "line": 0.95},
                    **{"result": "fail", "words": "that it beats the search"},
                },
            ],
        },
        "more_than_luck": False,
        "conclusion": f"The best of {count} runs, gru-h1, is not more than luck: SPA p 0.300 is above 0.05.",
        "runs": [a_run(rank, 3.0 - rank) for rank in range(1, count + 1)],
        **changes,
    }


def curves_of(runs: Sequence[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Each run's common days, whose mean is what the row says."""
    days = pd.date_range("2024-02-01", periods=DAYS, tz="UTC")
    curves = {}
    for seed, run in enumerate(runs):
        noise = np.random.default_rng(seed).standard_normal(DAYS)
        pnl = run["daily_pnl"] + 10 * (noise - noise.mean())
        curves[run["run"]] = pd.DataFrame({"return": pnl / 1e4, "pnl_quote": pnl}, index=days)
    return curves
