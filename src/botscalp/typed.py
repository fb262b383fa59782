"""How the words of a command have to be typed, so that argparse and Hydra's parser read what is meant."""

import re
import shlex
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, OverrideParseException
from omegaconf import ListConfig, OmegaConf

from botscalp.config import CONF
from botscalp.errors import UserError
from botscalp.known_keys import composed, meant_keys, options_with

_MULTIRUN = ("-m", "--multirun")


def check_flags(argv: Sequence[str], config_name: str) -> None:
    """Refuse what Hydra's argparse would answer with its usage.

    Raises:
        UserError: with the key that a flag was likely meant for.
    """
    parser = get_args_parser()
    see = f"python -m botscalp.{config_name} --help lists keys and flags"

    def refuse(message: str) -> NoReturn:
        flag = next(iter(re.findall(r"--?[\w-]+", message)), "")
        value = next((word for name, word in pairwise(argv) if name == flag), "")
        raise UserError(flag, value, message.partition(": ")[2] or message, see)

    parser.error = refuse  # type: ignore[method-assign]
    for word in parser.parse_known_args(list(argv[1:]))[1]:
        flag, _, value = word.partition("=")
        if not word.startswith("-"):
            raise UserError(flag, value, "stands behind a flag that stands behind keys", "type flags before all keys")
        following = argv[argv.index(word) + 1 :][:1]
        value = value or "".join(one for one in following if "=" not in one and not one.startswith("-"))
        name = flag.lstrip("-").replace("-", "_")
        keys = [name] if "." in name else meant_keys(name, composed(config_name))
        meant = "".join(f": {key}={value or '...'}" for key in keys[:1])
        raise UserError(flag, value, "no such flag", f"keys are typed as key=value{meant}; {see}")


def unreadable(error: OverrideParseException, config_name: str) -> UserError:
    """What Hydra's parser stumbled over, and the word as it has to be typed."""
    word, said = error.override, str(error)
    key, equals, text = word.partition("=")
    see = f"python -m botscalp.{config_name} --help lists keys and flags"
    if not equals:
        return UserError(key, "", "cannot be read: it has no value", f"type {key}=...; {see}")
    if (bars := as_file(key, text)) is not None:
        return bars
    problem = "cannot be read"
    if caret := re.search(r"^(\w+: ).*\n( *)\^$", said, re.MULTILINE):
        place = len(caret[2]) - len(caret[1])
        if place < len(key):
            return UserError(key, text, f"{problem}: no key holds {word[place]!r}", f"type key=value; {see}")
        problem = f"{problem}: {word[place]} has to stand in quotes, beside those of the shell"
    elif sum(map(text.count, "([{")) != sum(map(text.count, ")]}")):
        remedy = f"type both brackets; if it is text: {argument(key, text)}"
        return UserError(key, text, f"{problem}: a bracket lacks its other", remedy)
    elif found := re.search(r"[][(){}=,]", text):
        problem = f"{problem}: {found[0]} has to stand in quotes, beside those of the shell"
    return UserError(key, text, problem, f"type {argument(key, text)}")


def ambiguous(word: str, config_name: str) -> UserError:
    """Several values without a sweep."""
    key, _, text = word.partition("=")
    remedy = f"for a sweep: python -m botscalp.{config_name} -m {word}"
    if isinstance(OmegaConf.select(composed(config_name), key), ListConfig):
        remedy = f"for a list: {shlex.quote(f'{key}=[{text}]')}; {remedy}"
    elif not (CONF / key).is_dir():
        remedy = f"{remedy}; for one text: {argument(key, text)}"
    return UserError(key, text, "several values", remedy)


def as_file(group: str, text: str) -> UserError | None:
    """The error of a path typed as the option of a group, if that is what it is."""
    options = options_with(group, "path") if re.search(r"[./~]", text) else []
    if not options:
        return None
    remedy = f"a file is named in this way: {options[0]} {argument(f'{group}.path', text)}"
    return UserError(group, text, "no such option", remedy)


def argument(key: str, text: str) -> str:
    """The argument as a shell takes it, quoted where Hydra would not read the text as it stands."""
    try:
        plain = OverridesParser.create().parse_override(f"{key}={text}")
        if not plain.is_sweep_override() and plain.value() == text:
            return shlex.quote(f"{key}={text}")
    except HydraException:
        pass
    texts = text.split(",") if set(_MULTIRUN) & set(sys.argv) else [text]
    quoted = ",".join(QuotedString(one, Quote.double).with_quotes() for one in texts)
    return shlex.quote(f"{key}={quoted}")
