"""Which symbol a row is of, as features."""

import numpy as np

from botscalp.features.symbols import with_symbols


def test_a_column_a_symbol_marks_its_rows_and_features_stay_as_they_are() -> None:
    x_NF = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    symbol_N = np.array([0, 2, 2, 0, 1, 2])
    both = with_symbols(x_NF, symbol_N, 4)
    assert both.dtype == np.float32 and (both[:, :3] == x_NF).all()
    assert both[:, 3:].tolist() == [[float(symbol == column) for column in range(4)] for symbol in symbol_N]
