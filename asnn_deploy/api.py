"""The public functions: `load`, `from_torch`, `from_checkpoint` and `run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.deploy.reading import Reading, settled
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.deploy.source import open_source
from asnn_deploy.errors import InputError
from asnn_deploy.input.data import as_images
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.meaning import RULES
from asnn_deploy.ir.preprocessing import prepare
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.suggest import unknown_name

if TYPE_CHECKING:
    from torch import nn

DEFAULT_BATCH = 64


def load(
    source: str | os.PathLike[str],
    tool: str | None = None,
    *,
    dt: float | None = None,
    minimum: float | None = None,
    **rules: str | None,
) -> DeployGraph:
    """Return the network of a run folder, a bundle or a `.nir` file.

    Of a NIR file by another tool: tool: whose rules it is read by ("snntorch", "norse", ...; see
    `asnn_deploy.conventions`); dt: the length of a time step in the file's unit; minimum: a lower bound of membrane
    potentials; rules: single ones by name, such as `reset="subtract"`. Without a word, NIR's own text with a reset to
    zero and a dt of 1e-4.
    Raises AsnnDeployError in one line naming the file that cannot be used.
    """
    path = _path(source, "source")
    unknown = next((rule for rule in rules if rule not in RULES), None)
    if unknown is not None:
        raise InputError(unknown_name("rule", unknown, RULES))
    opened = open_source(path, Reading(tool, rules, dt, minimum))
    opened.deployment.close()
    return opened.graph


def from_torch(module: nn.Module, example: Any, tool: str | None = None) -> DeployGraph:
    """The network of a torch module of snnTorch, Norse, SpikingJelly or Sinabs, as it runs in evaluation mode from the
    states that a reset leaves; for sequences of any length.

    module: neurons of one of these tools and layers of torch, one after another, in torch.nn.Sequential or the tools'
    own containers. Its parameters and its conventions (reset, comparison, decays, time step) are read from the module
    itself. Layers have the paths of their modules as names; the answer, "output", is the sum over time of what the
    last one sends.
    example: what the module is called on; only its shape counts. `[B, ...]` if it computes one step at a call
    (snnTorch, Norse's cells, SpikingJelly's step_mode "s", Sinabs' Squeeze layers), `[T, B, ...]` or, for Sinabs,
    `[B, T, ...]` if it computes all.
    tool: "snntorch", "norse", "spikingjelly" or "sinabs", if only modules of that tool may be in it.

    Raises LoweringError naming a module that has no deployable counterpart by path and type, and InputError for an
    example that does not fit or modules of another tool.
    """
    from asnn_deploy.models.from_torch.reading import read_network  # loads torch

    return read_network(module, example, tool)


def from_checkpoint(
    path: str | os.PathLike[str], kind: str = "asnn-reference", *, coding: str, adaptive: bool = True
) -> DeployGraph:
    """Return the network of a checkpoint that other code has trained; nothing in it is unpickled.

    kind: "asnn-reference" is a state dict of the reference LeNet of ASNN (arXiv 2408.12407). coding: the input coding
    by the name that code gives it: "time", "mix time", "embedding", "mix embedding" or "direct". adaptive: whether the
    readout weighs the steps by the checkpoint's `scale`.
    Images are given as they are, uint8 or 0..1; what the code does to them first is part of the network.
    Raises AsnnDeployError in one line naming the file and the key that cannot be used.
    """
    from asnn_deploy.training.imported import read_imported

    return read_imported(_path(path, "path"), kind, coding, adaptive).graph


def run(
    net: DeployGraph,
    images: Array,
    target: str = "reference",
    batch_size: int = DEFAULT_BATCH,
    potentials: bool = False,
) -> Trace:
    """Run images `[N, H, W]` or `[N, H, W, C]`, uint8 or float 0..1, on a target; for a network that takes sequences,
    frames `[N, T, ...]`.

    Returns a Trace with `logits [N, classes]` and `spikes[layer] [T, N, ...]`; with `potentials`, also the membrane
    potentials where the target gives them. Raises AsnnDeployError.
    """
    _check(net, DeployGraph, "net", "a network, as asnn_deploy.load returns it")
    _check(target, str, "target", "a target's name")
    _check(batch_size, int, "batch_size", "a whole number")
    if net.code.kind == "sequence":
        net.code.check(images, net.input_shape, "frames")
        net = settled(net, np.asarray(images))
    samples = entering(net, images, "images" if net.code.kind == "image" else "frames")
    chosen = TARGETS.available(target)
    batch_size = max(1, min(batch_size, len(samples)))
    record = Record(spikes=True, potentials=potentials)
    with Deployment(net) as deployment, chosen.open(deployment, batch_size) as session:
        starts = range(0, max(len(samples), 1), batch_size)
        return Trace.concatenate([session.run(samples[i : i + batch_size], record) for i in starts])


def _path(value: Any, name: str) -> Path:
    _check(value, (str, os.PathLike), name, "a path")
    return Path(value)


def _check(value: Any, kinds: Any, name: str, expected: str) -> None:
    """Raise InputError for an argument of another type."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise InputError(f"{name} = {str(value)[:80]!r} ({type(value).__name__}): expected {expected}")


def entering(net: DeployGraph, samples: Array, where: str) -> Array:
    """Return what a user gives as the network takes it: images prepared, frames in their type. Raises DataError."""
    if net.code.kind == "image":
        samples = as_images(samples, where)
        net.code.check(samples, net.input_shape, where)
        return prepare(net.code.preparation, samples)
    net.code.check(samples, net.input_shape, where)
    return np.ascontiguousarray(samples, net.code.dtype)
