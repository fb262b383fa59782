"""The summary that the pages' tests read is one that a run may write."""

import pytest
from jsonschema import Draft202012Validator
from materials import a_material
from summaries import SCHEMA, a_summary, undefined


def test_it_fits_the_schema_defined_or_not() -> None:
    validator = Draft202012Validator(SCHEMA)
    validator.validate(a_summary())
    validator.validate(undefined(a_summary()))


def test_undefined_leaves_no_figure_that_may_be_absent() -> None:
    bare = undefined(a_summary())
    assert bare["metrics"]["auc"] is None
    assert bare["calibration"]["brier_parts"] is None and bare["calibration"]["squared_error"]["value"] is None
    assert bare["baselines"]["linear"]["metrics"] is None and bare["baselines"]["linear"]["gains"]["pnl"]["low"] is None
    assert bare["windows"][0]["mean_net_bps"] is None and bare["windows"][0]["intervals"]["auc"] is None
    assert bare["anatomy"]["drawdown"]["start"] is None and bare["regimes"][0]["auc"]["value"] is None
    assert bare["trials"] is None and bare["mlflow"] is None
    assert bare["backtest"]["trades"] == a_summary()["backtest"]["trades"]


def test_changes_reach_into_it_and_leave_the_rest() -> None:
    changed = a_summary(backtest={"sharpe": None}, windows=a_summary()["windows"][:1])
    assert changed["backtest"] == {**a_summary()["backtest"], "sharpe": None}
    assert len(changed["windows"]) == 1


def test_the_material_tells_of_the_same_run() -> None:
    summary, material = a_summary(), a_material()
    assert len(material.trades) == summary["backtest"]["trades"]
    assert len(material.predictions) == summary["metrics"]["n"]
    assert [curve.name for curve in material.curves] == ["costs_x1", "costs_x0", "costs_x2", "buy_and_hold"]
    assert material.curves[0].equity_quote[-1] - material.capital_quote == pytest.approx(
        summary["backtest"]["net_pnl"], abs=5
    )
