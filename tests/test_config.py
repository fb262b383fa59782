"""conf/: every option composes and builds, and the keys are the public ones."""

from dataclasses import MISSING, fields
from itertools import product
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from runs import composed_plainly

from botscalp.config import CONF, GROUPS, overridden
from botscalp.errors import UserError
from botscalp.options import build, described, nearest
from hydra_plugins.hydra_search_sweeper._spaces import space_of

# What an option cannot do without.
NEEDED = {"data=file": ["data.path=bars.csv"], "wfo=split": ["wfo.test_start=2024-01-01"]}
OPTIONS = sorted(
    f"{path.parent.name}={path.stem}"
    for path in CONF.glob("*/*.yaml")
    if path.parent.name in (*GROUPS, "debug", "experiment")
)

# The keys that a user may type. A change here is a change of the public interface: document it where the keys are
# documented, and in the option's YAML.
KEYS = {
    "train": "study seed resume report store trial fail_on",
    "data=file": "path symbols start end",
    "data=simulated": "symbols interval start end edge seed volatility_bps signal_persistence",
    "data=binance": "store market symbols interval start end",
    "data=trivial": "symbols interval start end seed",
    "features=technical": "lags returns rsi ema macd atr bollinger vwap volume volatility taker_flow",
    "features=ohlcv": "lags returns rsi ema macd atr bollinger vwap volume volatility taker_flow",
    "label=direction": "horizon",
    "label=triple_barrier": "barrier_atr max_hold atr_span",
    "model=gru": "hidden layers dropout",
    "model=lstm": "hidden layers dropout",
    "model=tcn": "hidden kernel dropout",
    "model=transformer": "hidden layers heads dropout",
    "model=mlp": "hidden layers dropout",
    "model=linear": "",
    "model=boosting": "trees leaves lr min_leaf_rows dropped_features patience",
    "model=ensemble": "seeds combine members",
    "wfo=monthly": "train validation test step windows expanding",
    "wfo=weekly": "train validation test step windows expanding",
    "wfo=expanding": "train validation test step windows expanding",
    "wfo=split": "test_start test_end",
    "trainer=default": "sampling chunk chunks warmup_bars epochs batch lr patience device precision compile days model_per symbol_features window_workers",
    "calibration=none": "",
    "calibration=platt": "",
    "calibration=temperature": "",
    "calibration=beta": "",
    "calibration=isotonic": "",
    "backtest=default": "threshold stop_atr target_atr max_hold atr_span select candidates taker_bps maker_bps slippage_bps "
    "slippage_ticks spread_bps through_ticks funding latency_bars finer filters tick round_prices step min_notional notional contract "
    "equity_fraction volatility_target kelly_fraction sizing max_exposure cooldown_bars daily_loss_stop capital",
    "backtest=a10g_2025": "threshold stop_atr target_atr max_hold atr_span select candidates taker_bps maker_bps slippage_bps "
    "slippage_ticks spread_bps through_ticks funding latency_bars finer filters tick round_prices step min_notional notional contract "
    "equity_fraction volatility_target kelly_fraction sizing max_exposure cooldown_bars daily_loss_stop capital",
    "backtest=binance": "threshold stop_atr target_atr max_hold atr_span select candidates taker_bps maker_bps slippage_bps "
    "slippage_ticks spread_bps through_ticks funding latency_bars finer filters tick round_prices step min_notional notional "
    "contract equity_fraction volatility_target kelly_fraction sizing max_exposure cooldown_bars daily_loss_stop capital",
    "verdict=default": "min_trades min_days max_decay suspicious_auc suspicious_accuracy suspicious_sharpe "
    "suspicious_saturation overrides",
    "tracking=mlflow": "",
    "tracking=none": "",
    "predict": "run window out store seed",
    "ingest": "symbols market interval kind start end store recent revisions accept_checksum dry_run at_once base_url rest_url",
}

DEFAULTS = {
    "study": "botscalp",
    "seed": 0,
    "resume": False,
    "report": True,
    "data.symbols": ["BTCUSDT"],
    "data.edge": 0.08,
    "features.lags": 20,
    "label.horizon": 3,
    "model.hidden": 64,
    "model.layers": 1,
    "model.dropout": 0,
    "trainer.epochs": 5,
    "trainer.batch": 512,
    "trainer.lr": 1e-3,
    "trainer.patience": 2,
    "trainer.device": "auto",
    "trainer.precision": 32,
    "wfo.train": "6mo",
    "wfo.validation": "1mo",
    "wfo.test": "1mo",
    "wfo.step": "1mo",
    "wfo.windows": None,
    "backtest.threshold": 0.54,
    "backtest.stop_atr": 1.5,
    "backtest.target_atr": 2.5,
    "backtest.max_hold": 20,
    "backtest.taker_bps": 5,
    "backtest.maker_bps": 2,
    "backtest.slippage_bps": 1,
    "backtest.notional": 1000,
    "backtest.capital": 10_000,
}


def config(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name, overrides=list(overrides))


def needed(*options: str) -> list[str]:
    return [word for option in options for word in NEEDED.get(option, ())]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_builds(option: str) -> None:
    group, _, name = option.partition("=")
    needs = ["data.path=bars.csv"] if option == "experiment=btc_2024" else needed(option)
    experiment = composed_plainly(option, *needs)
    if group in GROUPS:
        assert experiment.names[group] == name


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.split("=")[0] in GROUPS])
def test_values_stand_in_the_option_s_file_alone(option: str) -> None:
    """Every field of the class is a key, none has a default, and what is built is described by the same values."""
    group = option.partition("=")[0]
    built = getattr(composed_plainly(option, *needed(option)), group)
    assert all(field.default is MISSING for field in fields(built))
    assert build(described(built), group) == built
    values = OmegaConf.to_container(config("train", option, *needed(option))[group], resolve=True)
    assert isinstance(values, dict)
    assert list(values) == ["_target_", *(field.name for field in fields(built))] or group == "features"
    assert set(values) == {"_target_", *(field.name for field in fields(built))}


@pytest.mark.parametrize(
    ("model", "label", "calibration", "features"),
    list(product(("gru", "ensemble"), ("direction", "triple_barrier"), ("platt", "isotonic"), ("technical", "ohlcv"))),
)
def test_options_of_different_groups_go_together(model: str, label: str, calibration: str, features: str) -> None:
    experiment = composed_plainly(
        f"model={model}", f"label={label}", f"calibration={calibration}", f"features={features}"
    )
    assert experiment.title == f"{model}-{'h3' if label == 'direction' else label}"
    assert experiment.compared["calibration.name"] == calibration


def test_the_keys_are_the_public_ones() -> None:
    """Fails when a key or an option comes or goes: see KEYS above for what to do then."""
    found = {option: "" for option in OPTIONS if option.split("=")[0] in GROUPS}
    for option in found:
        group = option.partition("=")[0]
        found[option] = " ".join(str(key) for key in config("train", option)[group] if key != "_target_")
    for name in ("train", "predict", "ingest"):
        found[name] = " ".join(
            str(key) for key in config(name) if key not in GROUPS and key not in ("debug", "experiment")
        )
    assert {name: set(keys.split()) for name, keys in found.items()} == {
        name: set(keys.split()) for name, keys in KEYS.items()
    }


def test_defaults_are_the_documented_ones() -> None:
    cfg = config("train")
    assert {key: OmegaConf.select(cfg, key) for key in DEFAULTS} == DEFAULTS
    assert composed_plainly().names == {
        **{"data": "simulated", "features": "technical", "label": "direction", "model": "gru", "wfo": "monthly"},
        **{"trainer": "default", "calibration": "platt", "backtest": "default", "verdict": "default"},
        "tracking": "mlflow",
    }


@pytest.mark.parametrize("path", sorted(CONF.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_option_begins_with_what_it_is_and_explains_its_values(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("# @package")]
    assert lines[0].startswith("# ")
    if path.parent.name in GROUPS and "defaults:" not in lines:
        bare = [line for line in lines if ": " in line and "#" not in line and not line.startswith("_target_")]
        said_once = {"test:", "step:", "capital:", "threshold:", "stop_atr:", "target_atr:", "max_hold:"}
        assert [line for line in bare if line.split()[0] not in said_once] == []


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "search").glob("*.yaml")))
def test_every_search_spans_keys_that_there_are(name: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[f"search={name}"], return_hydra_config=True)
    assert cfg.hydra.sweeper.params and cfg.hydra.sweeper.folder == "mlruns/search/botscalp"
    for key, text in cfg.hydra.sweeper.params.items():
        assert OmegaConf.select(cfg, key) is not None, key
        assert space_of(OverridesParser.create().parse_override(f"{key}={text}")).name == key


def test_the_seed_of_the_market_follows_the_seed_until_it_is_set() -> None:
    assert composed_plainly("seed=5").data.seed == 5  # type: ignore[attr-defined]
    assert composed_plainly("seed=5", "data.seed=1").data.seed == 1  # type: ignore[attr-defined]


def test_overrides_are_told_apart_by_key() -> None:
    words = ["model=gru", "++label.horizon=5", "+data.seed=1", "~debug", "fail_on=[REJECTED]", "study=a=b"]
    assert overridden(words) == {
        **{"model": "gru", "label.horizon": "5", "data.seed": "1", "debug": "", "fail_on": "[REJECTED]"},
        "study": "a=b",
    }


def test_what_a_person_compares_holds_what_was_typed() -> None:
    compared = composed_plainly("model=linear", "trainer.lr=0.01", "verdict.min_trades=5").compared
    assert (compared["model.name"], compared["trainer.lr"], compared["verdict.min_trades"]) == ("linear", "0.01", "5")
    assert "model" not in compared and "model.hidden" not in compared
    assert all(isinstance(value, str) for value in compared.values())


def test_only_classes_of_this_package_are_built() -> None:
    for target in ("os.system", "builtins.exec", "", "botscalpel.x", "botscalp.nowhere.X", "botscalp.types.nothing"):
        with pytest.raises(UserError, match=r"model\._target_") as error:
            build({"_target_": target, "command": "true"}, "model")
        assert error.value.remedy.startswith("choose an option of model")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("gru2", "did you mean gru? valid: gru, linear"),
        ("GRU", "valid: gru, linear"),
        ("xyz", "valid: gru, linear"),
        ("liner", "did you mean linear? valid: gru, linear"),
    ],
)
def test_the_nearest_choice(word: str, expected: str) -> None:
    assert nearest(word, ["linear", "gru"]) == expected
