"""Kernels against what they are held to elsewhere, on few and small markets: quick even where they run as plain Python.

`make coverage` runs this with NUMBA_DISABLE_JIT=1, where each branch of a kernel is seen; a loop that reads outside its arrays
raises there, and does not where it is compiled.
"""

from dataclasses import replace

import numpy as np
import pytest
from account_cases import random_account, random_brackets, random_rules
from against_reference import difference, reference_of
from backtest_cases import noise, random_market, random_settings

from botscalp.data.kernels import autoregression_nb
from tests.backtest.test_backtest_sweep import assert_same_bits, random_grid, whole


def test_markets_and_accounts_agree_with_the_reference() -> None:
    rng = np.random.default_rng(20240103)
    for _ in range(60):
        rules, market = random_settings(rng), random_market(rng)
        assert difference(rules.run([market]), reference_of(rules, [market])) is None
    for _ in range(120):
        rules, account = random_rules(rng), random_account(rng)
        by_window = random_brackets(rng, rules)
        assert difference(rules.run(account, by_window), reference_of(rules, account, by_window)) is None


def test_grids_are_one_run_after_the_other() -> None:
    rng = np.random.default_rng(20240104)
    for _ in range(25):
        base = random_settings(rng)
        assert_same_bits([random_market(rng)], base, whole(random_grid(rng, base)))
    for _ in range(10):
        base, account = random_rules(rng), random_account(rng)
        assert_same_bits(account, base, {"threshold": [0.5, 0.55], "stop_atr": [0.5, 2.0]})


def test_positions_longer_than_a_byte_are_swept_too() -> None:
    base = replace(random_settings(np.random.default_rng(1)), threshold=0.5)
    grid = {"stop_atr": [8.0, np.inf], "target_atr": [8.0, np.inf], "max_hold": [254, 255, 256, 1000]}
    assert_same_bits([noise(seed=4, days=5)], base, grid)


def test_an_autoregression_is_its_definition() -> None:
    """From a level on, and from none: its first value is the noise itself then, so that its variance is 1 from the start."""
    noise_T = np.random.default_rng(3).normal(size=50)
    begun, continued = autoregression_nb(noise_T, 0.6, np.nan), autoregression_nb(noise_T, 0.6, 1.5)
    assert begun[0] == noise_T[0] and continued[0] == pytest.approx(0.6 * 1.5 + 0.8 * noise_T[0])
    for path in (begun, continued):
        assert path[1:] == pytest.approx(0.6 * path[:-1] + 0.8 * noise_T[1:])
