"""What `NAME[,KEY=VALUE...][:PATH]` says: a data set, the choices made for it, and where it is.

folder:pictures                        class folders in ./pictures
folder,size=28x28,grey=true:pictures   the same, each picture made 28 x 28 and grey

Choices are part of the text, so whatever remembers the text (a run folder, a bundle, a report) remembers them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from asnn_deploy.errors import DataError
from asnn_deploy.util.schema import explain
from asnn_deploy.util.suggest import unknown_name

KEY = "data."
"""How the key of a choice begins in a configuration: `data.size`."""
NUMBERS = re.compile(r"\d+(x\d+)+")
NESTED = re.compile(r"[,:\s]")
"""What a value in the text may not hold."""


class Choices(BaseModel):
    """Base of what a data set lets the user choose; each key has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class DataText:
    """The text, taken apart. choices: plain values by key; a list of numbers is written with `x` between them."""

    name: str
    path: str = ""
    choices: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> DataText:
        """Take a text apart. Raises DataError if a choice is not KEY=VALUE."""
        start, _, path = text.partition(":")
        name, *choices = start.split(",")
        found = {}
        for choice in choices:
            key, equals, value = choice.partition("=")
            if not (key and equals and value):
                raise DataError(f"data {text}: {choice!r} after the name; expected KEY=VALUE, as in size=28x28")
            found[key.strip()] = _plain(value)
        return cls(name, path, found)

    def __str__(self) -> str:
        choices = "".join(f",{key}={_text(key, value)}" for key, value in self.choices.items())
        return f"{self.name}{choices}" + (f":{self.path}" if self.path else "")

    def choosing(self, changes: Mapping[str, Any]) -> DataText:
        """Return it with more choices; None takes one back."""
        chosen = {**self.choices, **{k: _plain(v) if isinstance(v, str) else v for k, v in changes.items()}}
        return replace(self, choices={key: value for key, value in chosen.items() if value is not None})

    def checked(self, allowed: type[Choices] | None) -> Choices | None:
        """Return the choices as the data set has them, None if it has none.

        Raises DataError naming the key, the value found and what is allowed.
        """
        known = sorted(allowed.model_fields) if allowed else []
        for key in self.choices:
            if key not in known:
                raise DataError(unknown_name(f"choice of data set {self.name!r}", KEY + key, [KEY + k for k in known]))
        try:
            return allowed(**self.choices) if allowed else None
        except ValidationError as error:
            raise DataError(explain(error, within=[KEY[:-1]])) from None


def inheriting(text: str, remembered: str | None) -> str:
    """Return a text with what a remembered one chooses, if both name the same data set, and it does not itself."""
    given, known = DataText.of(text), None if remembered is None else DataText.of(remembered)
    if known is None or known.name != given.name:
        return text
    return str(replace(known, path=given.path).choosing(given.choices))


def _plain(text: str) -> Any:
    if NUMBERS.fullmatch(text):
        return [int(number) for number in text.split("x")]
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _text(key: str, value: Any) -> str:
    """A value as the text has it. Raises DataError for one that it cannot have."""
    if isinstance(value, list) and len(value) > 1 and all(type(n) is int and n >= 0 for n in value):
        return "x".join(map(str, value))
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if NESTED.search(text) or not isinstance(value, (bool, int, float, str, type(None))):
        raise DataError(f"{KEY}{key} = {value!r}: allowed: true, false, a number, a word, or whole numbers [N, N]")
    return text
