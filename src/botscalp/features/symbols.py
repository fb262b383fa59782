"""Which symbol a row is of, as features: what a model of several symbols tells them apart by."""

import numpy as np

from botscalp.types import Float32, Int64


def with_symbols(x_NF: Float32, symbol_N: Int64, symbols: int) -> Float32:
    """The features, then a column a symbol that is 1 in its rows and 0 elsewhere; shape (N, F + symbols).

    A network's first layer turns such a column into an embedding of the symbol.
    """
    return np.concatenate([x_NF, np.eye(symbols, dtype=np.float32)[symbol_N]], axis=1)
