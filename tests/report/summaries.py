"""One run as its pages see it, without running one: a summary that fits the schema, and is as long as that is.

It tells of four windows on real bars in which a weak model loses to its costs; `materials` holds what such a run is drawn from.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import botscalp.pipeline

SCHEMA: dict[str, Any] = json.loads((Path(botscalp.pipeline.__file__).parent / "summary.schema.json").read_text())
STARTS = tuple(f"2024-0{month}-01T00:00:00Z" for month in range(2, 7))
DAYS = 121


def a_summary(**changes: Any) -> dict[str, Any]:
    """What summary.json says of the run, after these changes: mappings are merged at every depth, the rest is replaced.

    `a_summary(backtest={"trades": 0, "sharpe": None})` changes two of the backtest's figures.
    """
    return _merged(_summary(), changes)


def undefined(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The same where every figure that may be null is."""
    return dict(_undefined(dict(summary), SCHEMA))


def a_window(number: int, train: str, validation: str, test: str, end: str, **changes: Any) -> dict[str, Any]:
    """A walk-forward window whose ranges begin at these times; the purge is left out."""
    return _merged(
        {
            "window": number,
            "train": [train, validation],
            "validation": [validation, test],
            "test": [test, end],
            "n_train": 52_938,
            "n_validation": 8_918,
            "n_test": 8_349,
            "metrics": _metrics(auc=0.535 + 0.005 * (-1) ** number, brier_skill=0.003 - 0.004 * (number % 3 == 0)),
            "intervals": {
                "auc": [0.518 + 0.005 * (-1) ** number, 0.552 + 0.005 * (-1) ** number],
                "brier_skill": [-0.002 - 0.004 * (number % 3 == 0), 0.008],
                "mean_net_bps": [-13.5 + number, -7.5 + number],
            },
            "trades": 640 + number,
            "mean_net_bps": -10.5 + number,
            "bracket": {"threshold": 0.54, "stop_atr": 1.5, "target_atr": 2.5, "max_hold": 20},
            "fit_s": 3.4,
            "epochs": 3,
        },
        changes,
    )


def a_symbol(symbol: str, **counts: float) -> dict[str, Any]:
    """A symbol with its rows, trades and net PnL."""
    return {
        "symbol": symbol,
        "auc": estimate(0.5348, 0.0081),
        "log_loss": estimate(0.6913, 0.0010),
        "brier_skill": estimate(0.0037, 0.0021),
        "mean_net_bps": estimate(-10.43, 1.9),
        **counts,
    }


def estimate(value: float | None, half_width: float | None = None) -> dict[str, float | None]:
    """A figure with an interval to both sides of it."""
    if value is None or half_width is None:
        return {"value": value, "low": None, "high": None}
    return {"value": value, "low": value - half_width, "high": value + half_width}


def rule(name: str, result: str, value: float | None, threshold: float | None, words: str) -> dict[str, Any]:
    ends = (None, None) if value is None else (value - 0.1 * abs(value), value + 0.1 * abs(value))
    low_high = dict(zip(("low", "high"), ends, strict=True))
    return {"name": name, "result": result, "value": value, "threshold": threshold, "words": words, **low_high}


def _merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = base.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _undefined(value: Any, schema: Any) -> Any:
    options = [_resolved(option) for option in _resolved(schema).get("anyOf", [schema])]
    if any("null" in option.get("type", ()) for option in options):
        return None
    described = options[0]
    if isinstance(value, list):
        return [_undefined(item, described.get("items")) for item in value]
    if isinstance(value, dict):
        of_each, of_others = described.get("properties", {}), described.get("additionalProperties")
        return {key: _undefined(item, of_each.get(key, of_others)) for key, item in value.items()}
    return value


def _resolved(schema: Any) -> dict[str, Any]:
    found = schema if isinstance(schema, dict) else {}
    return dict(SCHEMA["$defs"][found["$ref"].rpartition("/")[2]]) if "$ref" in found else found


def _summary() -> dict[str, Any]:
    return {
        "schema": 1,
        "title": "gru-h3",
        "settings": {"model.name": "gru", "label.horizon": "3", "features.lags": "20", "backtest.threshold": "0.54"},
        "overrides": {"model": "gru", "data": "file", "wfo.windows": "4"},
        "verdict": {"outcome": "REJECTED", "reasons": ["mean_net_bps"], "rules": _rules()},
        "metrics": _metrics(),
        "metrics_raw": _metrics(auc=0.5391, brier_skill=0.0041),
        "histogram": {
            "edges": [0.0, 0.01, *np.linspace(0.05, 0.95, 19).round(2).tolist(), 0.99, 1.0],
            "counts": [0] * 8 + [162, 2_540, 13_994, 15_957, 2_047, 142, 6] + [0] * 7,
        },
        "intervals": {
            "test": {
                "auc": [0.5260, 0.5428],
                "accuracy": [0.5178, 0.5314],
                "brier_skill": [0.0016, 0.0057],
                "log_loss": [0.6903, 0.6923],
                "squared_calibration_error": [0.0, 0.00047],
            },
            "train": {"auc": [0.5310, 0.5475]},
            "val": {"auc": [0.5223, 0.5441], "auc_decay": [-0.0038, 0.0151]},
            "backtest": {
                "mean_net_bps": [-12.29, -8.53],
                "mean_gross_bps": [-1.46, 2.14],
                "win_rate": [0.3423, 0.3812],
                "sharpe": [-19.48, -11.76],
                "roi": [-0.3278, -0.2070],
                "last_bars_excess_bps": None,
            },
        },
        "calibration": {
            "ece_apart": 0.0099,
            "ece_null_band": [0.0016, 0.0134],
            "squared_error": {"value": 0.00007, "low": 0.0, "high": 0.00047},
            "brier_parts": {"miscalibration": 0.00038, "discrimination": 0.00127, "uncertainty": 0.24994},
            "reliability": _reliability(slope=0.9),
            "reliability_raw": _reliability(slope=0.7),
        },
        "periods": _periods(),
        "regimes": list(_regimes()),
        "costs": list(_costs()),
        "baselines": {
            "flat": {"metrics": None, "backtest": None, "gains": {"pnl": estimate(-22.1, 5.0)}},
            "buy_and_hold": {
                "metrics": None,
                "backtest": _backtest(
                    trades=1, targets=0, stops=0, timeouts=0, ends=1, net_pnl=583.6, roi=0.05836, max_drawdown=-0.0369
                ),
                "gains": {"pnl": estimate(-27.0, 8.7)},
            },
            "previous_sign": {
                "metrics": _metrics(auc=0.5127, brier_skill=0.0008),
                "backtest": _backtest(trades=10, targets=3, stops=6, timeouts=1, net_pnl=-19.8, roi=-0.00198),
                "gains": {
                    "auc": estimate(0.0221, 0.009),
                    "log_loss": estimate(0.0015, 0.001),
                    "pnl": estimate(-22.0, 5.0),
                },
            },
            "linear": {
                "metrics": _metrics(auc=0.5310, brier_skill=0.0030),
                "backtest": _backtest(
                    trades=2_400, targets=740, stops=1_430, timeouts=230, net_pnl=-2_500.0, roi=-0.25
                ),
                "gains": {
                    "auc": estimate(0.0038, 0.006),
                    "log_loss": estimate(0.0003, 0.0005),
                    "pnl": estimate(-1.5, 3.0),
                },
            },
        },
        "simulated": {"auc_attainable": None},
        "backtest": _backtest(),
        "anatomy": _anatomy(),
        "sizes": [
            {
                "contract": contract,
                "trades": 2_567,
                "net_pnl": -163_830.0 * contract,
                "fees": 142_865.0 * contract,
                "roi": -16.383 * contract,
                "max_drawdown": -16.42 * contract,
                "max_drawdown_quote": -164_220.0 * contract,
            }
            for contract in (0.001, 0.01, 0.05)
        ],
        "windows": [
            a_window(number, f"2023-{7 + number:02}-01T00:00:00Z", validation, test, end)
            for number, (validation, test, end) in enumerate(
                zip(("2024-01-01T00:00:00Z", *STARTS), STARTS, STARTS[1:], strict=False)
            )
        ],
        "symbols": [a_symbol("BTCUSDT", n=34_833, trades=2_567, net_pnl=-2_678.2)],
        "data": {
            "source": "file",
            "symbols": ["BTCUSDT"],
            "interval": "5m",
            "markets": ["real BTCUSDT 5m"],
            "start": "2023-06-01T00:00:00Z",
            "end": "2024-06-01T00:00:00Z",
            "rows": 105_400,
            "gaps": 2,
            "missing_bars": 8,
            "digest": "1f95ad6f5ef36ca2d197153c9de1e541ac55175770b4aad396c92ab3f5362929",
        },
        "code": {"commit": "d14e24c5177032081882de8f4542589a7a6c6a25", "dirty": False},
        "device": "cpu",
        "time": {
            "total_s": 83.9,
            "startup_s": 18.2,
            "features_s": 5.5,
            "fit_s": 32.2,
            "steps_s": 29.4,
            "predict_s": 1.2,
            "backtest_s": 16.3,
            "sentinels_s": 0.9,
            "report_s": 6.6,
            "samples_per_s": 55_991.0,
            "overhead": 0.65,
        },
        "trials": {"count": 3, "sharpe_sd": 4.2, "expected_best_sharpe": 3.6, "deflated_sharpe": 0.0004},
        "mlflow": {
            "tracking_uri": "sqlite:///mlruns/mlflow.db",
            "experiment": "botscalp",
            "run_id": "57bfeab626b74128a4f455821f1aef89",
        },
    }


def _metrics(auc: float = 0.5348, brier_skill: float = 0.0037) -> dict[str, Any]:
    return {
        "accuracy": 0.5248,
        "auc": auc,
        "pr_auc": 0.5397,
        "brier": 0.2491,
        "brier_skill": brier_skill,
        "log_loss": 0.6913,
        "ece": 0.0083,
        "n": 34_833,
    }


def _backtest(**changes: Any) -> dict[str, Any]:
    return {
        "trades": 2_567,
        "win_rate": 0.3619,
        "break_even": 0.4876,
        "targets": 793,
        "stops": 1_523,
        "timeouts": 250,
        "ends": 1,
        "gross_pnl": 84.7,
        "net_pnl": -2_678.2,
        "fees": 2_328.9,
        "slippage": 434.0,
        "funding": 0.0,
        "mean_net_bps": -10.43,
        "mean_gross_bps": 0.33,
        "roi": -0.26782,
        "max_drawdown": -0.26841,
        "max_drawdown_quote": -2_684.3,
        "sharpe": -15.74,
        "sharpe_undefined": None,
        "days": DAYS,
    } | changes


def _anatomy() -> dict[str, Any]:
    return {
        "drawdown": {
            "start": "2024-02-01T00:30:00Z",
            "trough": "2024-05-31T19:55:00Z",
            "recovery": None,
            "length_days": 120.98,
            "longest_under_water_days": 120.98,
        },
        "trades": {
            "profit_factor": 0.596,
            "payoff_ratio": 1.051,
            "expectancy_quote": -1.043,
            "longest_win_streak": 7,
            "longest_loss_streak": 14,
            "mean_bars_held": 7.16,
            "median_bars_held": 5.0,
            "winners_median_mae_bps": 10.2,
            "losers_median_mae_bps": 27.3,
            "winners_median_mfe_bps": 44.5,
            "losers_median_mfe_bps": 8.9,
        },
        "days": {
            "worst": -0.0149,
            "value_at_risk": -0.0070,
            "expected_shortfall": -0.0097,
            "tail_ratio": 0.303,
            "skew": -0.604,
            "excess_kurtosis": 1.114,
            "annual_volatility": 0.0596,
            "sortino": -12.43,
            "calmar": -2.27,
        },
        "exposure": 0.527,
        "turnover_per_day": 4.243,
    }


def _rules() -> list[dict[str, Any]]:
    return [
        rule("real_data", "pass", 1.0, 1.0, "a market made the bars"),
        rule("enough_trades", "pass", 2_567, 600, "trades to tell skill from luck"),
        rule("auc", "pass", 0.5348, 0.5, "ranks up above down, out of sample"),
        rule("brier_skill", "pass", 0.0037, 0.0, "probabilities beat the training range's base rate"),
        rule("mean_net_bps", "fail", -10.43, 0.0, "the mean trade earns after costs, in bps"),
        rule(
            "mean_net_bps_at_double_costs", "fail", -21.41, 0.0, "the mean trade would earn at twice the costs, in bps"
        ),
        rule(
            "sharpe",
            "overridden",
            -15.74,
            0.0,
            "annualised Sharpe ratio of daily equity; set aside by ann: a drill; fail",
        ),
        rule("beats_linear", "undecided", 0.0038, 0.0, "AUC above the linear baseline's on the same rows"),
        rule("auc_too_high", "clear", 0.5482, 0.65, "AUC of all windows, or of the one where it is surest"),
        rule("profit_in_last_bars", "clear", None, 0.0, "gross bps of trades begun in a window's last bars"),
        rule("probabilities_saturated", "clear", 0.0, 0.01, "share of probabilities that are below 0.01 or above 0.99"),
        rule("prefix_invariance", "clear", 0.0, 0.0, "prefixes of the bars that give other features, of 16"),
    ]


def _reliability(slope: float) -> list[dict[str, Any]]:
    return [
        {
            "rows": 3_483,
            "mean_p": mean_p,
            "share_up": 0.505 + slope * (mean_p - 0.5),
            "low": mean_p - 0.028,
            "high": mean_p + 0.028,
        }
        for mean_p in (0.4365, 0.4643, 0.4783, 0.4889, 0.4977, 0.5053, 0.5129, 0.5213, 0.5326, 0.5596)
    ]


def _periods() -> dict[str, Any]:
    def period(rows: int, trades: int, auc: float, win_rate: float, mean_net_bps: float) -> dict[str, Any]:
        return {"rows": rows, "trades": trades} | _figures(auc, win_rate, mean_net_bps)

    return {
        "train": period(34_836, 2_450, 0.5394, 0.357, -10.6),
        "validation": period(17_408, 1_258, 0.5328, 0.382, -10.0),
        "test": period(34_833, 2_567, 0.5391, 0.362, -10.4),
        "train_to_test": _figures(0.0003, -0.005, -0.2),
        "validation_to_test": _figures(-0.0063, 0.020, 0.5),
        "overfitted": [],
        "old_rule": {
            "line": 0.52,
            "win_rate": 0.3619,
            "says_overfitting": True,
            "power": 0.649,
            "trades_needed": 3_863,
        },
    }


def _figures(auc: float, win_rate: float, mean_net_bps: float) -> dict[str, Any]:
    return {
        "auc": estimate(auc, 0.008),
        "win_rate": estimate(win_rate, 0.019),
        "mean_net_bps": estimate(mean_net_bps, 1.9),
    }


def _regimes() -> Iterator[dict[str, Any]]:
    names = {
        "volatility": ("low", "middle", "high"),
        "hour": [f"{hour:02}" for hour in range(24)],
        "weekday": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
        "month": [start[:7] for start in STARTS[:-1]],
    }
    for kind, of_kind in names.items():
        for number, name in enumerate(of_kind):
            yield {
                "kind": kind,
                "name": name,
                "rows": 34_833 // len(of_kind),
                "trades": 2_567 // len(of_kind),
            } | _figures(0.535 + 0.004 * np.sin(number), 0.362, -10.4 + 2 * np.cos(number))


def _costs() -> Iterator[dict[str, Any]]:
    for name, net_bps in (
        ("costs_x0", 0.24),
        ("costs_x0.5", -5.0),
        ("costs_x1", -10.43),
        ("costs_x2", -21.41),
        ("costs_x3", -32.17),
        ("all_taker", -11.36),
        ("all_maker", -3.76),
        ("targets_traded_through", -10.43),
    ):
        yield {
            "name": name,
            "outcome": "INCONCLUSIVE" if net_bps > 0 else "REJECTED",
            "trades": 2_567,
            "net_pnl": 256.7 * net_bps,
            "mean_net_bps": estimate(net_bps, 1.9),
            "sharpe": estimate(1.5 * net_bps, 3.5),
            "roi": estimate(0.02567 * net_bps, 0.05),
        }
