"""What the sections of all networks have in common; each network adds its own (`models/networks`). Without torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from asnn_deploy.errors import InputError
from asnn_deploy.ir.neurons import MODELS, NeuronModel
from asnn_deploy.util.suggest import unknown_name

MOST_CLASSES = 100_000
READOUT = "readout"
ALIASES = {"asnn": "lif"}
"""Neurons that are another model under a name that says what training makes of it: ASNN is LIF that learns."""
UNTRAINED = "lif"
"""The neuron that learns nothing: plain LIF, to compare with."""

Widths = Annotated[list[Annotated[int, Field(ge=1, le=65_536)]], Field(min_length=1)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values are checked on every assignment."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class ModelConfig(Section):
    """The network's neurons and its answer."""

    name: str = "lenet"
    """Which network; see `asnn-deploy list`."""
    neuron: str = "asnn"
    """The neuron model: "asnn" (adaptive LIF), "lif" (plain LIF, which learns nothing), or any that is listed."""
    learned: list[str] = Field(None, validate_default=True)
    """What training moves for each time step: parameters of the neuron, and "readout". Null: the readout, and every
    parameter that has no default."""
    reset: Literal["subtract", "zero"] = "subtract"
    """After a spike: the threshold is subtracted, or the membrane potential is zero (as on Loihi's own neurons)."""
    granularity: Literal["layer", "channel", "neuron"] = "layer"
    input_shape: tuple[int, int, int] | None = None
    """What images the preset is for, (C, H, W); null takes whatever the data has."""
    classes: int | None = Field(None, ge=2, le=MOST_CLASSES)

    @field_validator("neuron")
    @classmethod
    def _trainable(cls, name: str) -> str:
        if ALIASES.get(name, name) not in MODELS:
            raise ValueError(unknown_name("neuron model", name, neuron_names()))
        if not definition(name).real:
            raise ValueError(
                f"neuron model {name!r} has no definition in floating point (its method `step`), so it cannot be "
                "trained; choose another one"
            )
        return name

    @field_validator("learned", mode="before")
    @classmethod
    def _adaptive(cls, names: Any, found: ValidationInfo) -> Any:
        if names is not None or "neuron" not in found.data:
            return names
        parameters = definition(found.data["neuron"]).parameters
        return [*(key for key, parameter in parameters.items() if parameter.required), READOUT]

    @field_validator("learned")
    @classmethod
    def _learnable(cls, names: list[str], found: ValidationInfo) -> list[str]:
        neuron = found.data.get("neuron")
        known = definition(neuron).parameters if neuron else {}
        # What may be left out without a number that does nothing has none to begin with either.
        learnable = (key for key, parameter in known.items() if not parameter.optional)
        allowed = [*learnable, READOUT] if neuron else names
        for name in names:
            if name not in allowed:
                raise ValueError(unknown_name(f"parameter of neuron {neuron!r}", name, allowed))
        return names


def neuron_names() -> list[str]:
    """Return what a configuration may call its neurons."""
    return [*ALIASES, *MODELS]


def definition(neuron: str) -> NeuronModel:
    """Return the neuron model that a configuration calls so.

    Raises InputError and MissingDependency as Parts do, and InputError if another package claims a name of ours.
    """
    if neuron in ALIASES and neuron in MODELS:
        raise InputError(
            f"neuron model {neuron!r} is defined twice, by asnn_deploy, whose name for a trained {ALIASES[neuron]} it "
            "is, and by another package; uninstall one of them"
        )
    return MODELS.find(ALIASES.get(neuron, neuron))
