"""The simulator `loihi1-sanafe`: recorded spikes replayed event by event on SANA-FE's Loihi.

SANA-FE (https://github.com/SLAM-Lab/SANA-FE) is an optional extra under the GPL: it is imported only when asked for.
What it charges is in its own description of the chip, after Davies et al. 2018: synapses by kind, neurons by access,
update and spike, messages and hops of the network on chip, and the barrier between time steps.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import numpy as np

from asnn_deploy.deploy.protocols import Simulator
from asnn_deploy.energy.simulation import Simulation
from asnn_deploy.errors import TargetError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.trace import Trace
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import track
from asnn_targets.sanafe.wiring import Placement, Wiring, wire

BYTES_PER_CONNECTION, BYTES_PER_CORE = 1_000, 1_000_000
"""What a loaded network takes in memory (SANA-FE 2.2.9: 850 bytes a connection, 0.55 MB a core)."""
TITLE = "Loihi 1, simulated event by event (SANA-FE)"
PROCESS = "14 nm, 0.75 V"
SOURCE = (
    'J. A. Boyle et al., "SANA-FE: Simulating Advanced Neuromorphic Architectures for Fast Exploration", '
    "IEEE TCAD 44(8), 2025, pp. 3165-3178; constants: its loihi.yaml, after Davies et al. 2018"
)
LEAVES_OUT = (
    "Static power, the embedded x86 cores, input and output, and the host",
    "Loihi 1 has binary spikes only: a non-zero value of an analog input step is sent as one event, a spike count of k "
    "as k events, a lower bound",
    "The input: each pixel is a neuron without cost on separate cores; its messages and synapses are charged",
    "Pooling: a pooled map is sent from the cores of the neurons that it pools, its own neurons cost nothing",
    "What a neuron does beyond the access of each step and one update where events arrived or it fires: leak, bias and "
    "parameters that change from step to step cost nothing more",
    "Links between chips: a network that needs more than 128 cores runs on one larger mesh",
    "Idle accesses while answers pass from layer to layer: samples follow each other without a pause "
    "(energy_alone_joules has them)",
)


class SanaFe(Simulator):
    """SANA-FE's Loihi."""

    name = "loihi1-sanafe"
    chip = "loihi1"
    constant_based = "loihi1-davies-2018"
    source = SOURCE

    def unavailable(self) -> str | None:
        """Needs sanafe."""
        return None if find_spec("sanafe") else "not installed: sanafe; pip install 'asnn-deploy[sanafe]'"

    def simulate(self, graph: DeployGraph, images: Array, trace: Trace, placement: Placement) -> Simulation:
        """Replay a trace of uint8 images `[N, C, H, W]`, N at least 1, with its neurons where the placement says.

        Raises UnsupportedError naming a layer that
        Loihi has no synapses for, InputError where trace or placement are another network's, TargetError where memory
        does not suffice or SANA-FE fails.
        """
        from asnn_targets.sanafe.chip import Chip

        wiring = wire(graph, images, trace, placement)
        check_memory(wiring, available_memory())
        chip = Chip(wiring)
        idle = chip.idle()
        found = [chip.sample(i) for i in track(range(wiring.samples), self.name)]
        energy = {part: np.array([sample[part] for sample, _, _ in found]) for part in idle}
        alone = wiring.idle * idle["soma"]
        parts = {
            "synapses": energy["synapse"] + energy["dendrite"],
            "neurons": energy["soma"] - alone,
            "spikes": energy["network"],
            "memory": np.zeros(wiring.samples),
            "static": np.zeros(wiring.samples),
        }
        return Simulation(
            name=self.name,
            title=TITLE,
            process=PROCESS,
            source=SOURCE,
            leaves_out=LEAVES_OUT,
            constants=tuple(constants()),
            parts=parts,
            alone=np.full(wiring.samples, alone),
            latency=np.array([seconds for _, seconds, _ in found]),
            events=np.array([events for _, _, events in found], dtype=np.int64),
            cores=wiring.cores,
            connections=wiring.synapses,
            steps=wiring.steps,
        )


def check_memory(wiring: Wiring, available: int | None) -> None:
    """Raises TargetError where the simulated chip would not fit into the memory that is left (None: not known)."""
    need = wiring.synapses * BYTES_PER_CONNECTION + wiring.cores * BYTES_PER_CORE
    if available is not None and need > available:
        raise TargetError(
            f"loihi1-sanafe: {wiring.synapses:,} connections need about {need / 1e9:,.1f} GB of memory, "
            f"{available / 1e9:,.1f} GB are available; free memory, or leave this simulator out"
        )


def available_memory() -> int | None:
    """Bytes that can be taken without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
        if "SC_AVPHYS_PAGES" not in names:
            return None
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def constants() -> list[dict[str, Any]]:
    """What SANA-FE's description charges: `{name, low, mid, high, unit, source}`."""
    from asnn_targets.sanafe.chip import CONVOLUTION, DENSE, NEURON, description

    (tile,) = description()["architecture"]["tile"]
    (core,) = tile["core"]
    units = {unit["name"]: unit["attributes"] for part in ("soma", "synapse", "axon_out") for unit in core[part]}
    hops, neuron = tile["attributes"], units[NEURON]
    amounts = {
        "synapse of a convolution": units[CONVOLUTION]["energy_process_spike"],
        "dense synapse": units[DENSE]["energy_process_spike"],
        "neuron, each step": neuron["energy_access_neuron"],
        "neuron, update": neuron["energy_update_neuron"],
        "neuron, spike": neuron["energy_spike_out"],
        "message": units["loihi_out"]["energy_message_out"],
        "hop east or west": hops["energy_east_hop"],
        "hop north or south": hops["energy_north_hop"],
    }
    same = {"unit": "pJ", "source": SOURCE, "kind": "simulated", "process": PROCESS}
    return [
        {"name": name, **dict.fromkeys(("low", "mid", "high"), float(f"{joules * 1e12:.6g}"))} | same
        for name, joules in amounts.items()
    ]


simulator = SanaFe()
