"""Funding rates from files: what holders of a perpetual future pay each other at fixed times."""

from pathlib import Path

import numpy as np

from botscalp.data.files import numbers, table_of, times_ns
from botscalp.errors import UserError
from botscalp.types import Float64, Int64

SPELLINGS = {
    "funding_time": ("funding_time", "fundingTime", "calc_time"),
    "funding_rate": ("funding_rate", "fundingRate", "last_funding_rate"),
}
"""as stored here, as the exchange's interface names them, and as its archive does"""


def read_funding(path: Path) -> tuple[Int64, Float64]:
    """Times (ns, to the second) and rates, both of shape (F,), by time; longs pay shorts where the rate is above 0.

    Raises:
        UserError: the file is missing or unreadable, lacks a column, or holds a time twice or a rate that is none.
    """
    try:
        table = table_of(path)
        if table.empty:
            raise UserError("", path, "holds no rows", "give a file with rates")
        columns = []
        for name, spellings in SPELLINGS.items():
            spelling = next((one for one in spellings if one in table), None)
            if spelling is None:
                held = ", ".join(map(str, table.columns))
                raise UserError("", path, f"has no column {name}; its columns are: {held}", f"name it {name}")
            columns.append(table[spelling])
        time_ns, rate = times_ns(columns[0], path), numbers(columns[1], path)
    except UserError as error:
        raise error.about("backtest.funding") from None
    # The exchange stamps its 08:00 some milliseconds late; that is 08:00.
    time_ns = time_ns // 1_000_000_000 * 1_000_000_000
    order = np.argsort(time_ns, kind="stable")
    time_ns, rate = time_ns[order], rate[order]
    if not np.isfinite(rate).all() or (np.diff(time_ns) == 0).any():
        problem = "a rate is missing" if not np.isfinite(rate).all() else "a funding time is there twice"
        raise UserError("backtest.funding", path, problem, "correct that row")
    return time_ns, rate
