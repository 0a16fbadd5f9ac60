"""TOML files with a pydantic schema: read whole, or refused in one line that names the file, the key and the value."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asnn_deploy.errors import ConfigError, InputError
from asnn_deploy.util.suggest import unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Text = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A table of a TOML file: no unknown key passes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=Section)


def read_toml(path: Path, what: str, model: type[M]) -> M:
    """The file as a model whose `name` is the file's.

    Raises InputError where it cannot be read, ConfigError where it is not TOML or breaks the schema.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{what} {path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what} {path}: is not TOML: {error}") from error
    if "name" in data:
        raise ConfigError(f"{what} {path}: key 'name' is not allowed; the name is that of the file")
    try:
        return model.model_validate({"name": path.stem, **data})
    except ValidationError as error:
        raise ConfigError(f"{what} {path}: {explain(error, model)}") from None


def explain(error: ValidationError, model: type[Section]) -> str:
    """The first problem as `key: what is wrong, what was found`."""
    problems = error.errors(include_url=False)
    # A misspelt key is also a missing one; the spelling is what the user can mend.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        return f"{key}: {unknown_name('key', path[-1], _allowed(model, path[:-1]))}"
    if first["type"] == "missing":
        return f"{key}: is missing"
    message = first["msg"].removeprefix("Value error, ")
    found: Any = first["input"]
    shown = "" if isinstance(found, (dict, BaseModel)) else f", found {found!r}"
    return f"{key}: {message[0].lower()}{message[1:]}{shown}"


def _allowed(model: type[Section], path: Sequence[str]) -> list[str]:
    """The keys of the table at a path."""
    table = model
    for part in path:
        if not part.isdigit():
            table = _section_in(table.model_fields[part].annotation)
    return [name for name in table.model_fields if table is not model or name != "name"]


def _section_in(annotation: Any) -> type[Section]:
    """The section that a field holds, by itself, optionally, or in a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(found for part in get_args(annotation) if (found := _section_in(part)))
