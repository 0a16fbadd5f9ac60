"""A NIR file of another tool, as the core asks for it (`asnn_deploy.deploy.reading.Foreign`)."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np

from asnn_deploy.errors import AsnnDeployError, InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.util.files import replacing
from asnn_exporters.nir.header import HEADER
from asnn_exporters.nir.others import MEANING, graph_of, layer_names, read_network
from asnn_exporters.nir.others.network import NEURONS
from asnn_exporters.nir.others.neurons import time_step


class ForeignFile:
    """One file. Raises what `read_network` raises."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.network = read_network(path)
        self.notes = self.network.notes

    @property
    def stated(self) -> Meaning | None:
        """See Foreign."""
        return self.network.metadata.get(MEANING)

    @cached_property
    def time_step(self) -> float | None:
        """See Foreign."""
        told = (time_step(node.kind, node.fields) for _, node in sorted(self.network.nodes.items()))
        return next((dt for dt in told if dt is not None), None)

    @property
    def kinds(self) -> frozenset[str]:
        """See Foreign."""
        return frozenset(node.kind for node in self.network.nodes.values() if node.kind in NEURONS)

    @cached_property
    def nodes(self) -> dict[str, str]:
        """See Foreign."""
        return layer_names(self.network)

    def graph(self, meaning: Meaning, round_delays: bool = False) -> DeployGraph:
        """See Foreign."""
        try:
            return graph_of(self.network, meaning, round_delays=round_delays)
        except AsnnDeployError as error:
            raise type(error)(f"{self.path}: {error}") from error


def is_ours(path: Path) -> bool:
    """Return whether a file carries the header of a network that asnn-deploy wrote; False if it cannot be read."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return HEADER in file["node"].get("metadata", {})
    except (OSError, RuntimeError, KeyError, AttributeError, TypeError, ValueError):
        return False


def restate(path: Path, out: Path, meaning: Meaning) -> None:
    """Copy a file, node for node, with a meaning in its metadata, so that it can be read without a word.

    Raises InputError if it cannot be written; an older file then stays whole.
    """
    import h5py

    with replacing(out) as temporary:
        temporary.write_bytes(path.read_bytes())
        with h5py.File(temporary, "r+") as file:
            if not isinstance(file["node"].get("metadata", file["node"]), h5py.Group):
                raise InputError(f"{path}: its metadata are not a group, so no meaning can be written into them")
            remarks = file["node"].require_group("metadata")
            if MEANING in remarks:
                del remarks[MEANING]
            text = json.dumps({key: value for key, value in meaning.to_json().items() if key != "assumed"})
            remarks.create_dataset(MEANING, data=np.bytes_(text.encode()))
