"""TOML files with a pydantic schema: read whole, or refused in one line that names the file, the key and the value."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asnn_deploy.errors import ConfigError, InputError
from asnn_deploy.util.schema import explain
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
        raise ConfigError(f"{what} {path}: {explain(error, lambda keys: _unknown(model, keys))}") from None


def _unknown(model: type[Section], path: Sequence[str]) -> str:
    """What is said of a key that a table does not have."""
    return f"{'.'.join(path)}: {unknown_name('key', path[-1], _allowed(model, path[:-1]))}"


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
