"""Documents: what a command writes as JSON, as pydantic models that also read it back.

    class Fitted(Document):
        chip: Text
        cores: Count

    fitted = read_document(Path("fit.json"), Fitted, "what fit --json writes", "run fit --json again")
    fitted.cores, fitted.to_json()

A key that a model does not know is passed over, because anything may be added to a document; a number is finite, a text
bounded, and nothing is converted: "3" is not a number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from asnn_deploy.errors import BundleError
from asnn_deploy.util.schema import explain

LARGEST = 1e60
"""No count, energy or time comes near it, and what pages compute from numbers below it stays finite."""
LONGEST = 10_000
"""Characters of a text."""
CREATOR = "asnn-deploy "
"""How `created_by` begins."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[int, Field(ge=1, lt=2**63)]
Amount = Annotated[float, Field(ge=0, le=LARGEST)]
Share = Annotated[float, Field(ge=0, le=1)]
CreatedBy = Annotated[str, Field(pattern=f"^{CREATOR}")]


def _finite(value: JsonValue) -> JsonValue:
    """Raise ValueError if any number in plain JSON is NaN or infinite."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(item)
    if isinstance(value, float) and not abs(value) <= LARGEST:
        raise ValueError(f"numbers are finite, at most {LARGEST:g}, found {value}")
    return value


Plain = Annotated[JsonValue, AfterValidator(_finite)]
"""JSON of any form, its numbers finite."""


class Document(BaseModel):
    """A JSON object with fixed types. `to_json` gives the keys that were set, in the order of the fields."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        str_max_length=LONGEST,
        populate_by_name=True,
    )

    def __str__(self) -> str:
        return repr(self)  # pydantic's lists every value

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def to_text(self, indent: int) -> str:
        """Return the JSON text of a file. Raises ValueError if a number is NaN or infinite."""
        return json.dumps(self.to_json(), indent=indent, allow_nan=False, ensure_ascii=False) + "\n"


D = TypeVar("D", bound=BaseModel)


def read_document(path: Path, model: type[D], what: str, remedy: str) -> D:
    """Return a file as its model. Raises BundleError naming the file, the key, the value found and the remedy.

    what: what the file should be, as in "not a bundle's manifest".
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from None
    except ValidationError as error:
        raise BundleError(f"{path}: not {what} ({explain(error)}); {remedy}") from None
