"""A grid's mean net trade over its two longest keys, as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd


def write_heat_map(path: Path, table: pd.DataFrame, grid: Mapping[str, Sequence[float]]) -> None:
    """Median over the other keys of the mean net trade, in bps: a good cell in bad company is luck."""
    from matplotlib.figure import Figure

    longest = sorted(grid, key=lambda name: len(grid[name]), reverse=True)
    column = longest[0]
    row = longest[1] if len(longest) > 1 else None
    keys = [column] if row is None else [row, column]
    cells = table.groupby(keys)["mean_net_bps"].median()
    values = cells.to_frame().T if row is None else cells.unstack()
    figure = Figure(figsize=(1.5 + 0.7 * values.shape[1], 1.8 + 0.5 * values.shape[0]), layout="constrained")
    axes = figure.subplots()
    known = values.to_numpy(float)
    reach = float(np.nanmax(np.abs(known))) if np.isfinite(known).any() else 1.0
    image = axes.imshow(known, cmap="RdBu", vmin=-reach, vmax=reach, aspect="auto", origin="lower")
    axes.set_xticks(range(values.shape[1]), [f"{value:g}" for value in values.columns], rotation=90)
    axes.set_xlabel(column)
    if row is None:
        axes.set_yticks([])
    else:
        axes.set_yticks(range(values.shape[0]), [f"{value:g}" for value in values.index])
        axes.set_ylabel(row)
    others = [name for name in grid if name not in keys]
    over = f", median over {', '.join(others)}" if others else ""
    axes.set_title(f"mean net trade, bps{over} ({len(table):,} settings)", fontsize=9)
    figure.colorbar(image)
    figure.savefig(path, dpi=120)
