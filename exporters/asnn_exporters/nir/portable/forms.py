"""Other forms of the same neurons: as a membrane that relaxes or leaks, and in other units of its potential."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from asnn_deploy.util.arrays import Array
from asnn_exporters.nir.portable.population import Population, powers, single, span

POTENTIALS = ("threshold", "reset_potential", "minimum", "initial", "bias", "rest")
"""The parameters that are potentials."""


def in_form(found: Population) -> None:
    """Write a membrane with a leak as one that relaxes, or the reverse, if the file's rules ask for it."""
    p, is_relaxing = found.p, found.model.startswith("relaxing-")
    if found.kind == "IF":
        return
    if found.relaxing and not is_relaxing:
        found.model = f"relaxing-{found.model}"
        _rename(p, "current_leak", "current_rate", lambda leak: 1 - leak)
        leak, bias = p.pop("leak"), p.pop("bias", None)
        p["rate"] = single(1 - leak)
        if bias is not None:
            p["rest"] = single(bias / p["rate"])
        if (p["gain"] == p["rate"]).all():
            del p["gain"]
    elif is_relaxing and not found.relaxing:
        found.model = found.model.removeprefix("relaxing-")
        _rename(p, "current_rate", "current_leak", lambda rate: 1 - rate)
        p.pop("steps", None)
        rate, rest = p.pop("rate"), p.pop("rest", None)
        p["leak"] = single(1 - rate)
        p.setdefault("gain", rate)
        if rest is not None:
            p["bias"] = single(rate * rest)
    else:
        _divided(found)
        return
    _divided(found)
    halved = all(powers(p[key]) for key in ("rate", "gain") if key in p) and powers(1 - p.get("leak", np.zeros(())))
    if not halved:
        found.note_rounding()


def _divided(found: Population) -> None:
    """Give a membrane the time constant by which it is divided, if the file's rules divide."""
    p = found.p
    if not found.relaxing:
        return
    divides = found.target.update(found.kind) == "dividing" and not powers(p["rate"])
    if divides == ("steps" in p):
        return
    if divides:
        p["steps"] = single(1 / p["rate"])
    else:
        del p["steps"]
    found.note_rounding()


def in_units(found: Population) -> None:
    """Write the potentials in the units in which the tool takes inputs."""
    wanted = _wanted_gain(found)
    if wanted is None:
        return
    p = found.p
    gain = p.get("gain", p.get("rate"))
    assert gain is not None
    factor = wanted / np.where(gain == 0, 1, gain)
    inside = found.relaxing and found.kind != "IF" and found.target.gain(found.kind) == "inside"
    if inside:
        p.pop("gain", None)
    else:
        p["gain"] = np.broadcast_to(single(wanted), np.broadcast_shapes(np.shape(wanted), np.shape(gain)))
    if (factor == 1).all():
        return
    if not found.layer.definition.spikes:
        raise found.refuse(f"{found.target.who} adds its inputs with another factor than its gain {span(gain)}")
    if (gain <= 0).any():
        raise found.refuse(f"its gain {span(gain)} must be positive for {found.target.who}")
    p.setdefault("threshold", np.ones(()))
    for key in POTENTIALS:
        if key in p:
            p[key] = single(p[key] * factor)
    if not powers(factor):
        found.note(f"its potentials are in units of {span(1 / factor)}, which rounds them otherwise")


def _wanted_gain(found: Population) -> Array | None:
    """The factor on its inputs that the tool takes; None if any will do."""
    rule = found.target.gain(found.kind)
    if rule == "any" or (rule == "either" and found.relaxing and "gain" not in found.p and found.kind != "IF"):
        return None
    if rule == "inside":
        return found.p["rate"]
    return found.p["current_leak"] if rule == "decay" else np.ones(())


def _rename(p: dict[str, Array], old: str, new: str, change: Callable[[Array], Array]) -> None:
    if old in p:
        p[new] = single(change(p.pop(old)))
