"""What may be a secret is refused before it is written down, and left out of what is said."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from runs import several

from botscalp.application import _explained
from botscalp.errors import UserError
from botscalp.secrets import refuse_typed_variables, refuse_variables


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"study": "${oc.env:TOKEN}"}, "study"),
        ({"data": {"path": "a/${oc.env:TOKEN,none}/b"}}, "data.path"),
        ({"data": {"symbols": ["A", "${ oc.env : TOKEN }"]}}, "data.symbols"),
        ({"study": "${oc.decode:${oc.env:TOKEN}}"}, "study"),
        ({"hydra": {"run": {"dir": "${oc.env:TOKEN}"}}}, "hydra.run.dir"),
        ({"study": "a", "hydra": {"overrides": {"task": ["+study=${oc.env:TOKEN},b"]}}}, "study"),
        ({"hydra": {"job": {"env_set": {"X": "hush"}, "env_copy": []}}}, "hydra.job.env_set"),
        ({"hydra": {"job": {"env_set": {}, "env_copy": ["TOKEN"]}}}, "hydra.job.env_copy"),
    ],
)
def test_what_comes_from_the_environment_is_refused(
    config: dict[str, Any], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hush")
    with pytest.raises(UserError) as caught:
        refuse_variables(OmegaConf.create(config))
    assert caught.value.key == key and "hush" not in str(caught.value)


def test_addresses_that_the_configuration_itself_reads_are_none() -> None:
    refuse_variables(OmegaConf.create({"base_url": "${oc.env:BOTSCALP_ARCHIVE,https://data.binance.vision}", "n": [1]}))


TYPED = {
    "hydra.job.env_set.X=hush": "hydra.job.env_set=X: ",
    "++hydra.job.env_set.X=hush,hush": "hydra.job.env_set=X: ",
    '+hydra.job.env_set.X="hush{': "hydra.job.env_set=X: ",  # what Hydra cannot read is no exception
    "hydra.job.env_set={X: hush}": "hydra.job.env_set=...: ",
    "hydra.job={env_set: {X: hush}}": "hydra.job.env_set=...: ",
    "hydra={job: {env_copy: [HUSH]}}": "hydra.job.env_copy=...: ",
}


def test_a_variable_that_is_typed_for_hydra_to_set_is_refused_before_anything_reads_it(tmp_path: Path) -> None:
    outcomes = several([("train", ["-m", word, "seed=1,2"]) for word in TYPED], cwd=tmp_path)
    for (word, told), outcome in zip(TYPED.items(), outcomes, strict=True):
        assert outcome["code"] == 2 and outcome["stdout"] == "", word
        assert outcome["stderr"].startswith(told) and "hush" not in outcome["stderr"].lower(), word


def test_words_about_other_keys_are_left_to_hydra() -> None:
    refuse_typed_variables(["hydra.job.name=env_set", "study=env_set", "-m", "data.path=env_copy.csv"])


@pytest.mark.parametrize(
    "error", [RuntimeError("asked https://ada:hush@a.test"), UserError("base_url", "http://u:hush@[", "", "")]
)
def test_no_password_of_an_address_is_said(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    _explained(error, "ingest", [])
    said = capsys.readouterr().err
    assert "://...@" in said and "hush" not in said
