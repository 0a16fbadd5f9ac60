"""What a chip's file says, with its source or the reason why there is none."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from asnn_deploy.util.toml_schema import Section, Text

Whole = Annotated[int, Field(strict=True, ge=1)]


class Sourced(Section):
    """Something said of a chip: with its source, or with the reason why there is none."""

    source: Text | None = None
    unverified: Text | None = None
    note: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Sourced:
        if (self.source is None) == (self.unverified is None):
            raise ValueError("needs either 'source' or 'unverified' (why there is no published source), and not both")
        return self


class Limit(Sourced):
    """A largest whole number, at least 1."""

    value: Whole
