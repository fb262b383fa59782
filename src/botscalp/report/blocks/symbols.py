"""Table of the symbols beside the portfolio, where there are several."""

from collections.abc import Mapping
from typing import Any

from botscalp.report.numbers import estimate, figure
from botscalp.report.tables import Table

Summary = Mapping[str, Any]


def symbols(summary: Summary) -> Table | str:
    """What each symbol adds, and all of them together; nothing where there is one."""
    found = summary["symbols"]
    if len(found) < 2:
        return ""
    return Table(
        caption="Each symbol, and all on their common account [95 % interval]",
        columns=["symbol", "rows", "AUC", "log loss", "Brier skill", "trades", "net bps a trade", "net"],
        rows=[
            *(
                [
                    one["symbol"],
                    f"{one['n']:,}",
                    estimate(one["auc"], ".4f"),
                    estimate(one["log_loss"], ".5f"),
                    estimate(one["brier_skill"], "+.5f"),
                    f"{one['trades']:,}",
                    estimate(one["mean_net_bps"], "+.2f"),
                    f"{one['net_pnl']:+,.2f}",
                ]
                for one in found
            ),
            _together(summary),
        ],
    )


def _together(summary: Summary) -> list[str]:
    metrics, backtest, intervals = summary["metrics"], summary["backtest"], summary["intervals"]
    return [
        "all",
        f"{metrics['n']:,}",
        figure(metrics["auc"], intervals["test"]["auc"], ".4f"),
        figure(metrics["log_loss"], intervals["test"]["log_loss"], ".5f"),
        figure(metrics["brier_skill"], intervals["test"]["brier_skill"], "+.5f"),
        f"{backtest['trades']:,}",
        figure(backtest["mean_net_bps"], intervals["backtest"]["mean_net_bps"], "+.2f"),
        f"{backtest['net_pnl']:+,.2f}",
    ]
