"""Networks in and out: `load`, `from_torch`, `from_checkpoint`, `save`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asnn_deploy.api.network import Network, opened, path_of
from asnn_deploy.deploy.bundle import keep_file
from asnn_deploy.deploy.reading import Reading
from asnn_deploy.deploy.source import open_source
from asnn_deploy.errors import InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.meaning import RULES
from asnn_deploy.util.suggest import unknown_name

if TYPE_CHECKING:
    from torch import nn

SUFFIX = ".nir"


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
    path = path_of(source, "source")
    unknown = next((rule for rule in rules if rule not in RULES), None)
    if unknown is not None:
        raise InputError(unknown_name("rule", unknown, RULES))
    opened = open_source(path, Reading(tool, rules, dt, minimum))
    opened.deployment.close()
    return opened.graph


def from_torch(module: nn.Module, example: Any, tool: str | None = None) -> DeployGraph:
    """Return the network of a torch module of snnTorch, Norse, SpikingJelly or Sinabs, as it runs in evaluation mode
    from the states that a reset leaves; for sequences of any length.

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

    return read_imported(path_of(path, "path"), kind, coding, adaptive).graph


def save(net: Network, path: str | os.PathLike[str]) -> Path:
    """Write a network to one `.nir` file, from which `load` returns it as it was: weights, tables, coding, the choices
    of its integer version.

    Returns the file's path. Raises InputError for another ending, GraphError naming the layer that NIR cannot hold.
    """
    file = path_of(path, "path")
    if file.suffix != SUFFIX or file.is_dir():
        raise InputError(f"{file}: a network is saved to a file that ends in {SUFFIX}; export writes other formats")
    with opened(net) as source:
        keep_file(source.graph, file)
    return file
