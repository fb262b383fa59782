"""What the run of `summaries` is drawn from: random but fixed arrays stand for what the run's tables would hold."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from summaries import DAYS, STARTS

from botscalp.report.material import Band, Curve, Material
from botscalp.times import DAY_NS, UNITS_NS

CAPITAL_QUOTE = 10_000.0
FIRST_NS = int(np.datetime64(STARTS[0][:-1], "ns").astype(np.int64))
BAR_NS = 5 * UNITS_NS["m"]


def a_material(seed: int = 0, **changes: Any) -> Material:
    """What the run's pictures are drawn from, with these fields replaced."""
    rng = np.random.default_rng(seed)
    material = Material(
        capital_quote=CAPITAL_QUOTE,
        threshold=0.54,
        curves=tuple(
            a_curve(name, drift_quote=drift_quote, seed=seed + number)
            for number, (name, drift_quote) in enumerate(
                (("costs_x1", -2_680.0), ("costs_x0", 60.0), ("costs_x2", -5_640.0), ("buy_and_hold", 580.0))
            )
        ),
        band=a_band(),
        predictions=_predictions(rng),
        trades=_trades(rng),
        threshold_costs=_threshold_costs(),
    )
    return replace(material, **changes)


def a_curve(name: str, *, drift_quote: float, seed: int, bars: int = DAYS * 288) -> Curve:
    """A random walk of bars of five minutes that ends near the drift."""
    noise = np.random.default_rng(seed).normal(0.0, 1.5, bars)
    steps = noise - noise.mean() + drift_quote / bars
    closes_ns = FIRST_NS + BAR_NS * np.arange(1, bars + 1)
    return Curve(name=name, close_time_ns=closes_ns, equity_quote=CAPITAL_QUOTE + np.cumsum(steps))


def a_band(days: int = DAYS) -> Band:
    passed = np.arange(1, days + 1)
    return Band(
        time_ns=FIRST_NS + DAY_NS * passed,
        low_quote=CAPITAL_QUOTE - 27 * passed - 50 * np.sqrt(passed),
        high_quote=CAPITAL_QUOTE - 17 * passed + 50 * np.sqrt(passed),
    )


def _predictions(rng: np.random.Generator, rows: int = 34_833) -> pd.DataFrame:
    p_raw = np.clip(rng.normal(0.5, 0.035, rows), 0.0, 1.0)
    label = (rng.random(rows) < p_raw).astype(np.float64)
    return pd.DataFrame({"p_raw": p_raw, "p": 0.5 + 0.9 * (p_raw - 0.5), "label": label})


def _trades(rng: np.random.Generator, rows: int = 2_567) -> pd.DataFrame:
    minutes = np.sort(rng.choice(DAYS * 288, rows, replace=False)) * 5
    reason = rng.choice(["stop", "target", "timeout"], rows, p=[0.59, 0.31, 0.1])
    reason[-1] = "end"
    gross_bps = np.select([reason == "stop", reason == "target"], [-22.0, 42.0], 0.0) + rng.normal(0, 6, rows)
    costs_bps = np.where(reason == "target", 8.0, 12.0)
    return pd.DataFrame(
        {
            "symbol": "BTCUSDT",
            "side": rng.choice([1, -1], rows),
            "reason": reason,
            "entry_time": pd.Timestamp(STARTS[0]) + pd.to_timedelta(minutes, unit="min"),
            "bars_held": np.where(reason == "timeout", 20, rng.integers(1, 20, rows)).astype(np.float64),
            "net_bps": gross_bps - costs_bps,
            "gross_bps": gross_bps,
            "mae_atr": np.where(reason == "stop", 1.5 + rng.exponential(0.1, rows), rng.uniform(0, 1.5, rows)),
            "mfe_atr": np.where(reason == "target", 2.5, rng.uniform(0, 2.5, rows)),
        }
    )


def _threshold_costs() -> pd.DataFrame:
    table = pd.MultiIndex.from_product(
        [(0.5, 0.52, 0.54, 0.56, 0.58, 0.6), (0.0, 0.5, 1.0, 2.0, 3.0)], names=["threshold", "multiple"]
    ).to_frame(index=False)
    table["trades"] = (20_000 * np.exp(-(((table["threshold"] - 0.5) / 0.027) ** 2))).astype(int)
    table["mean_net_bps"] = 40 * (table["threshold"] - 0.5) - 10.7 * table["multiple"]
    half_width = 100 / np.sqrt(table["trades"].clip(lower=1))
    table["low"], table["high"] = table["mean_net_bps"] - half_width, table["mean_net_bps"] + half_width
    table.loc[table["trades"] < 10, ["mean_net_bps", "low", "high"]] = np.nan
    return table
