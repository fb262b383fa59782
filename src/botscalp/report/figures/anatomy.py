"""Where the trades' result comes from: how they ended, how long they lasted, how far the price went, and when they began."""

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from botscalp.report import numbers
from botscalp.report.drawing import BLUE, GREEN, INK, MUTED, PURPLE, SURFACE, VERMILLION, Picture, new_figure, style
from botscalp.report.figures.cells import Cells, heat_map
from botscalp.report.figures.heat_map import GREY, MIN_TRADES
from botscalp.report.material import Material

if TYPE_CHECKING:
    import pandas as pd

REASONS = {"target": GREEN, "stop": VERMILLION, "timeout": BLUE, "end": PURPLE}
"""how a trade ends, "end" with the data, and its colour; any other way is muted"""
WON, LOST = (BLUE, "", "o"), (VERMILLION, "/////", "x")
"""colour, hatch and marker of trades that earned after costs, and of the others"""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_BARS = 30
"""drawn beside each other"""
MAX_POINTS = 600
HOURS = (1, 2, 3, 4, 6, 8)
"""into which a day is cut, the finest first"""
ENOUGH_KNOWN = 0.8
"""share of the parts of a week that have a mean to show, unless even the coarsest have not"""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def exits(material: Material) -> Picture | None:
    """How the trades ended: how many each way, and how much those earned; None without trades."""
    import pandas as pd

    trades = _in_order(material.trades)
    if trades.empty:
        return None
    found = trades.reason.unique()
    reasons = [name for name in REASONS if name in found] + sorted(set(found) - set(REASONS))
    net_bps = {name: trades.net_bps[trades.reason == name] for name in reasons}
    share = {name: len(net_bps[name]) / len(trades) for name in reasons}
    quantiles = {name: net_bps[name].quantile(QUANTILES).to_numpy() for name in reasons}
    with style():
        figure = new_figure(1.0 + 0.42 * len(reasons))
        counts, boxes = figure.subplots(1, 2, sharey=True, width_ratios=(2, 3))
        for place, name in enumerate(reasons):
            colour = REASONS.get(name, MUTED)
            counts.barh(place, len(net_bps[name]), height=0.55, color=colour)
            counts.annotate(
                f"{len(net_bps[name]):,} ({share[name]:.0%})",
                (len(net_bps[name]), place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
            low, lower, median, upper, high = quantiles[name]
            box = {"whislo": low, "q1": lower, "med": median, "q3": upper, "whishi": high, "mean": net_bps[name].mean()}
            boxes.bxp(
                [box],
                positions=[place],
                widths=0.55,
                orientation="horizontal",
                manage_ticks=False,
                showfliers=False,
                showmeans=True,
                patch_artist=True,
                boxprops={"facecolor": SURFACE, "edgecolor": colour},
                medianprops={"color": colour, "linewidth": 2.0},
                whiskerprops={"color": colour},
                capprops={"color": colour},
                meanprops={"marker": "D", "markersize": 5, "markerfacecolor": INK, "markeredgecolor": SURFACE},
            )
        counts.set(xlabel="trades", xlim=(0, 1.6 * max(map(len, net_bps.values()))))
        counts.set_yticks(range(len(reasons)), reasons)
        counts.locator_params(axis="x", nbins=4, integer=True)
        counts.invert_yaxis()
        counts.grid(axis="y", visible=False)
        boxes.grid(axis="y", visible=False)
        boxes.axvline(0, color=INK, linewidth=0.8)
        boxes.set_xlabel("net bps a trade")
    parts = "; ".join(
        f"{name}: {share[name]:.0%} of the trades, {net_bps[name].mean():+.2f} bps each" for name in reasons
    )
    return Picture(
        name="exits",
        title="How do trades end?",
        reading=(
            f"{parts}; all: {trades.net_bps.mean():+.2f} bps. The diamond is the mean, the box "
            "holds the middle half of the trades, the whiskers 90 %: how far single trades lie apart, not how sure the mean is."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "ended by": reasons,
                "trades": [f"{len(net_bps[name]):,}" for name in reasons],
                "share": [f"{share[name]:.1%}" for name in reasons],
                "mean net bps": [f"{net_bps[name].mean():+.2f}" for name in reasons],
                "part of the mean trade, bps": [f"{share[name] * net_bps[name].mean():+.2f}" for name in reasons],
            }
            | {
                f"{quantile:.0%} quantile": [f"{quantiles[name][place]:+.2f}" for name in reasons]
                for place, quantile in enumerate(QUANTILES)
            }
        ),
    )


def holding(material: Material) -> Picture | None:
    """For how many bars trades that won and trades that lost were held; None without trades."""
    import pandas as pd

    trades = _in_order(material.trades)
    if trades.empty:
        return None
    bars = np.floor(trades.bars_held.to_numpy()).astype(np.int64)
    net_bps = trades.net_bps.to_numpy()
    won = net_bps > 0
    width = ceil((int(bars.max()) - int(bars.min()) + 1) / MAX_BARS)
    first = int(bars.min())
    bin_of = (bars - first) // width
    bins = int(bin_of.max()) + 1
    counts = {name: np.bincount(bin_of[of], minlength=bins) for name, of in (("won", won), ("lost", ~won))}
    starts = first + width * np.arange(bins)
    names = [f"{start}" if width == 1 else f"{start}-{start + width - 1}" for start in starts]
    with style():
        figure = new_figure(2.4)
        axes = figure.subplots()
        for (name, count), (colour, hatch, _), side in zip(counts.items(), (WON, LOST), (-1, 1), strict=True):
            axes.bar(
                starts + (width - 1) / 2 + side * 0.2 * width,
                count,
                width=0.4 * width,
                facecolor=SURFACE if hatch else colour,
                edgecolor=colour,
                hatch=hatch,
                linewidth=0.8,
                label=name,
            )
        axes.grid(axis="x", visible=False)
        axes.locator_params(axis="x", integer=True)
        axes.set(xlabel="bars held", ylabel="trades")
        figure.legend(loc="outside upper right", ncols=2)
    with np.errstate(invalid="ignore"):
        total = counts["won"] + counts["lost"]
        win_rate = counts["won"] / total
        mean_bps = np.bincount(bin_of, net_bps, minlength=bins) / total
    held = " and ".join(
        f"{np.median(bars[of]):g} by trades that {name}" for name, of in (("won", won), ("lost", ~won)) if of.any()
    )
    longest = int((bars == bars.max()).sum())
    return Picture(
        name="holding",
        title="How long are positions held?",
        reading=(
            f"Bars held in the median: {held}. {longest:,} of {len(bars):,} trades ({longest / len(bars):.0%}) lasted the "
            f"longest, {bars.max():,} bars."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "bars held": names,
                **{name: [f"{value:,}" for value in count] for name, count in counts.items()},
                "win rate": [numbers.number(None if np.isnan(value) else value, ".1%") for value in win_rate],
                "mean net bps": [numbers.number(None if np.isnan(value) else value, "+.2f") for value in mean_bps],
            }
        ),
    )


def excursions(material: Material) -> Picture | None:
    """How far the price went against each trade and for it while it was open; None without trades."""
    import pandas as pd

    trades = _in_order(material.trades)
    trades = trades[np.isfinite(trades.mae_atr) & np.isfinite(trades.mfe_atr)]
    if trades.empty:
        return None
    won = trades.net_bps > 0
    parts = {name: trades[of] for name, of in (("won", won), ("lost", ~won)) if of.any()}
    every = ceil(len(trades) / MAX_POINTS)
    quartiles = {name: part[["mae_atr", "mfe_atr"]].quantile([0.25, 0.5, 0.75]) for name, part in parts.items()}
    with style():
        figure = new_figure(3.1)
        panels = figure.subplots(1, len(parts), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (name, part) in zip(panels, parts.items(), strict=True):
            colour, _, marker = WON if name == "won" else LOST
            shown = part[::every]
            axes.plot(
                shown.mae_atr, shown.mfe_atr, marker, color=colour, markersize=3.0, alpha=0.5, markeredgewidth=0.7
            )
            mae, mfe = (quartiles[name][column].to_numpy() for column in ("mae_atr", "mfe_atr"))
            axes.plot(mae[[0, 2]], mfe[[1, 1]], color=INK, linewidth=2.0)
            axes.plot(mae[[1, 1]], mfe[[0, 2]], color=INK, linewidth=2.0)
            axes.plot(mae[1], mfe[1], "D", color=INK, markersize=7, markeredgecolor=SURFACE)
            axes.set_title(f"{name}: {len(part):,} trades")
            axes.set_xlabel("MAE: furthest against it, ATR")
        panels[0].set_ylabel("MFE: furthest for it, ATR")
        panels[0].set(xlim=(0, None), ylim=(0, None))
    medians = "; ".join(
        f"{quartile.mae_atr[0.5]:.2f} ATR against those that {name}, {quartile.mfe_atr[0.5]:.2f} ATR for them"
        for name, quartile in quartiles.items()
    )
    once = (
        f" Of those that lost, {(parts['lost'].mfe_atr >= 1).mean():.0%} were once 1 ATR ahead."
        if "lost" in parts
        else ""
    )
    thinned = f", points one trade in {every}" if every > 1 else ""
    return Picture(
        name="excursions",
        title="How far does the price go while a position is open?",
        reading=(
            f"In the median the price went {medians}.{once} Diamonds are medians, their lines the middle half{thinned}; the bar "
            "of the exit counts by the exit's price alone."
        ),
        figure=figure,
        table=pd.DataFrame(
            [
                {"trades that": name, "trades": f"{len(parts[name]):,}"}
                | {
                    f"{words}, {which}": f"{quartile[column][level]:.2f}"
                    for words, column in (("MAE in ATR", "mae_atr"), ("MFE in ATR", "mfe_atr"))
                    for which, level in (("lower quartile", 0.25), ("median", 0.5), ("upper quartile", 0.75))
                }
                for name, quartile in quartiles.items()
            ]
        ),
    )


def clock(material: Material) -> Picture | None:
    """The mean net trade by hour and weekday of the entry, UTC, as finely as there are trades for; None without trades."""
    import pandas as pd

    trades = _in_order(material.trades)
    if trades.empty:
        return None
    entry = pd.DatetimeIndex(pd.to_datetime(trades.entry_time, utc=True))
    for hours in HOURS:
        parts = 7 * 24 // hours
        part = ((24 * entry.day_of_week + entry.hour) // hours).to_numpy()
        count = np.bincount(part, minlength=parts)
        if (count >= MIN_TRADES).sum() >= ENOUGH_KNOWN * parts:
            break
    mean_bps = np.bincount(part, trades.net_bps, minlength=parts) / np.maximum(count, 1)
    starts = range(0, 24, hours)
    cells = Cells(
        rows=WEEKDAYS,
        columns=[f"{start:02d}" if hours == 1 else f"{start:02d}-{start + hours:02d}" for start in starts],
        values=np.where(count >= MIN_TRADES, mean_bps, np.nan).reshape(7, -1),
    )
    texts = np.array(
        [
            f"{value:+.2f} ({trades:,})" if trades >= MIN_TRADES else f"n/a ({trades:,})"
            for value, trades in zip(mean_bps, count, strict=True)
        ]
    ).reshape(7, -1)
    return Picture(
        name="clock",
        title="When does it earn?",
        reading=_clock_reading(cells),
        figure=heat_map(
            cells,
            x_label="hour of the entry, UTC",
            y_label="",
            value_label="mean net trade, bps",
            grey=GREY,
            downwards=True,
        ),
        table=pd.DataFrame({"weekday": WEEKDAYS} | dict(zip(cells.columns, texts.T, strict=True))),
    )


def _clock_reading(cells: Cells) -> str:
    known = cells.values[np.isfinite(cells.values)]
    if not len(known):
        return f"No part of the week has {MIN_TRADES} trades, too few to tell anything."
    named = []
    for flat in (np.nanargmax(cells.values), np.nanargmin(cells.values)):
        day, block = divmod(int(flat), len(cells.columns))
        named.append(f"{cells.rows[day]} {cells.columns[block]} ({cells.values[day, block]:+.2f} bps)")
    return (
        f"{int((known > 0).sum())} of {len(known)} parts of the week with {MIN_TRADES} trades or more are above 0; best is {named[0]}, "
        f"worst {named[1]}. Of so many some look good and some bad by luck alone: no ground to pick hours by."
    )


def _in_order(trades: "pd.DataFrame") -> "pd.DataFrame":
    """In the order of time, so that a picture does not depend on that of the table."""
    return trades.sort_values(["entry_time", "symbol", "side", "net_bps"], kind="stable", ignore_index=True)
