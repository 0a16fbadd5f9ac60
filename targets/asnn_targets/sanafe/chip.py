"""SANA-FE's description of Loihi, made large enough for a placement, and one replay on it."""

from __future__ import annotations

import io
import re
import tempfile
from contextlib import redirect_stdout
from importlib.resources import files
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from asnn_deploy.errors import TargetError
from asnn_deploy.util.arrays import Array
from asnn_targets.sanafe.wiring import NEURONS_PER_CORE, Population, Projection, Wiring

DRIVEN = {"threshold": 0.5, "leak_decay": 0.0, "bias": 0.0}
"""A neuron that fires in the steps in which its bias is 1, and remembers nothing."""
SILENT = {"threshold": 1e9, "leak_decay": 0.0}
NEURON, RELAY = "loihi_lif", "relay"
CONVOLUTION, DENSE = "loihi_conv_synapse", "loihi_dense_synapse"
AT_ONCE = 100_000
"""Connections handed over in one call: they pass as Python tuples."""


def description() -> dict[str, Any]:
    """SANA-FE's own description of Loihi."""
    return dict(yaml.safe_load((files("sanafe") / "examples" / "loihi.yaml").read_text(encoding="utf-8")))


def enlarged(cores: int, relays: int) -> dict[str, Any]:
    """The description with at least so many cores, and room for so many relays on each.

    More chips than one become a wider mesh: SANA-FE's Loihi has no links between chips.
    """
    made = description()
    chip = made["architecture"]
    (tile,) = chip["tile"]
    (core,) = tile["core"]
    tiles, per_tile = _count(tile["name"]), _count(core["name"])
    tiles = max(tiles, ceil(cores / per_tile))
    tile["name"] = f"{tile['name'].partition('[')[0]}[0..{tiles - 1}]"
    chip["attributes"]["width"] = ceil(tiles / chip["attributes"]["height"])
    neuron = next(unit for unit in core["soma"] if unit["name"] == NEURON)
    free = {key: value if key == "model" else 0.0 for key, value in neuron["attributes"].items()}
    units = max(1, ceil(relays / NEURONS_PER_CORE))
    core["soma"] = [neuron, {"name": f"{RELAY}[0..{units - 1}]", "attributes": free}]
    return made


def _count(name: str) -> int:
    """How many units a description's `name[0..31]` stands for."""
    found = re.fullmatch(r".*\[0\.\.(\d+)\]", name)
    if found is None:
        raise TargetError(f"SANA-FE's loihi.yaml names {name!r}, expected name[0..N]; install sanafe 2.2.9")
    return int(found[1]) + 1


class Chip:
    """A loaded chip. Raises TargetError where SANA-FE refuses the network."""

    def __init__(self, wiring: Wiring) -> None:
        import sanafe

        self.wiring = wiring
        relays = [p.cores for p in wiring.populations if p.relays]
        most = int(np.bincount(np.concatenate(relays)).max()) if relays else 0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "loihi.yaml"
            path.write_text(yaml.safe_dump(enlarged(wiring.cores, most), sort_keys=False), encoding="utf-8")
            architecture = sanafe.load_arch(path)
        network = sanafe.Network()
        cores = architecture.cores()
        placed = np.zeros(len(cores), dtype=np.int64)
        dense = {projection.target for projection in wiring.projections if not projection.convolution}
        groups = {
            p.name: _group(network, p, DENSE if p.name in dense else CONVOLUTION, cores, placed)
            for p in wiring.populations
        }
        for projection in wiring.projections:
            _connect(groups[projection.source], groups[projection.target], projection)
        self._chip = sanafe.SpikingChip(architecture)
        try:
            self._chip.load(network)
        except (RuntimeError, ValueError, IndexError) as error:
            raise TargetError(f"SANA-FE cannot load the network: {' '.join(str(error).split())}") from error
        self._neurons = self._chip.mapped_neuron_groups

    def idle(self) -> dict[str, float]:
        """What one step costs in which nothing happens, by SANA-FE's parts, joules."""
        self._chip.reset()
        with redirect_stdout(io.StringIO()):
            return dict(self._chip.sim(1, timing_model="detailed")["energy"])

    def sample(self, index: int) -> tuple[dict[str, float], float, int]:
        """Replay one sample: energy by SANA-FE's parts in joules, time in seconds, delivered synaptic events."""
        self._chip.reset()
        energy: dict[str, float] = {}
        seconds, events = 0.0, 0
        driven: dict[str, Array] = {}
        with redirect_stdout(io.StringIO()):
            for step in range(self.wiring.steps):
                driven = self._drive(index, step, driven)
                done = self._chip.sim(1, timing_model="detailed")
                for part, joules in done["energy"].items():
                    energy[part] = energy.get(part, 0.0) + joules
                seconds += done["sim_time"]
                events += done["spikes"]
        return energy, seconds, events

    def _drive(self, index: int, step: int, before: dict[str, Array]) -> dict[str, Array]:
        """Let the neurons of one step fire, and those of the step before no more; returns who fires."""
        now: dict[str, Array] = {}
        for p in self.wiring.populations:
            t = step - p.late
            now[p.name] = np.flatnonzero(p.fires[t, index]) if 0 <= t < len(p.fires) else np.zeros(0, np.int64)
            neurons, was = self._neurons[p.name], before.get(p.name, np.zeros(0, np.int64))
            for i in np.setdiff1d(was, now[p.name]).tolist():
                neurons[i].set_attributes({"bias": 0.0})
            for i in np.setdiff1d(now[p.name], was).tolist():
                neurons[i].set_attributes({"bias": 1.0})
        return now


def _group(network: Any, population: Population, synapse: str, cores: list[Any], placed: Array) -> Any:
    """A population's neurons on their cores, with the synapses that reach them.

    placed: the relays of each core so far, which fill unit after unit.
    """
    driven = bool(population.fires.any())
    soma = f"{RELAY}[0]" if population.relays else NEURON
    group = network.create_neuron_group(
        population.name,
        len(population.cores),
        DRIVEN if driven else SILENT,
        default_synapse_hw_name=synapse,
        soma_hw_name=soma,
    )
    for neuron, core in zip(group.neurons, population.cores.tolist()):
        if population.relays:
            if placed[core] >= NEURONS_PER_CORE:
                neuron.set_attributes(soma_hw_name=f"{RELAY}[{placed[core] // NEURONS_PER_CORE}]")
            placed[core] += 1
        neuron.map_to_core(cores[core])
    return group


def _connect(source: Any, target: Any, projection: Projection) -> None:
    sources, targets = projection.pairs
    for start in range(0, len(sources), AT_ONCE):
        cut = slice(start, start + AT_ONCE)
        pairs = list(zip(sources[cut].tolist(), targets[cut].tolist()))
        nothing = [0.0] * len(pairs)  # events arrive and cost; who fires is known already
        source.connect_neurons_sparse(target, {"weight": nothing}, pairs)
