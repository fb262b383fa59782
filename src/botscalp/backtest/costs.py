"""What the same predictions would have earned at other costs.

Every level is a run of its own, since costs are no mere deduction: slippage and spread move fills, and with them stops,
targets, and which signals find the account flat.
"""

from dataclasses import replace
from typing import Any

from botscalp.backtest.by_symbol import times
from botscalp.backtest.settings import BPS, Backtest

MULTIPLES = (0.0, 0.5, 1.0, 2.0, 3.0)
"""of fees, slippage and spread"""


def cost_levels(backtest: Backtest, tick: float | None) -> dict[str, Backtest]:
    """The backtest at other costs, by name; all else, funding included, as it is.

    - costs_x0, costs_x0.5, costs_x1, costs_x2, costs_x3: fees, slippage and spread times that. A multiple at which slippage or
      half the spread would be the whole price is left out.
    - all_taker: targets pay the taker fee too.
    - all_maker: every fill pays the maker fee and none slips, as if all orders rested and all were filled.
    - targets_traded_through: a target fills once the price was a tick beyond it (more where `through_ticks` says so).

    Args:
        tick: the price step in quote currency, where the backtest names none; without either the last level is left out.
    """
    levels = {
        f"costs_x{multiple:g}": level
        for multiple in MULTIPLES
        if (level := times_costs(backtest, multiple)) is not None
    }
    levels["all_taker"] = replace(backtest, maker_bps=backtest.taker_bps)
    levels["all_maker"] = replace(backtest, taker_bps=backtest.maker_bps, **_slippage(backtest, 0.0))
    step = backtest.tick or tick
    if step is not None:
        levels["targets_traded_through"] = replace(backtest, tick=step, through_ticks=max(backtest.through_ticks, 1.0))
    return levels


def times_costs(backtest: Backtest, multiple: float) -> Backtest | None:
    """The backtest at so many times its fees, slippage and spread; None where what is sold would fetch nothing."""
    if max(backtest.slippage_bps or 0.0, backtest.spread_bps / 2) * multiple * BPS >= 1.0:
        return None
    assert backtest.taker_bps is not None and backtest.maker_bps is not None, "at_exchange comes first"
    return replace(
        backtest,
        taker_bps=times(backtest.taker_bps, multiple),
        maker_bps=times(backtest.maker_bps, multiple),
        spread_bps=backtest.spread_bps * multiple,
        **_slippage(backtest, multiple),
    )


def _slippage(backtest: Backtest, multiple: float) -> dict[str, Any]:
    """In the unit that the backtest has it in."""
    unit = "slippage_bps" if backtest.slippage_bps is not None else "slippage_ticks"
    return {unit: getattr(backtest, unit) * multiple}
