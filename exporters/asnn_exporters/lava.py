"""Export for Lava: the network as NIR, its integer version, and a script that runs it.

Lava 0.10 has no file format. What it runs is built from the graph that is read back from the NIR file, in
floating point, and from `fixed.npz`, in integers: Loihi-style ones (see `asnn_deploy.ir.fixed_point`) for this
project's Processes, or, with `processes="stock"`, those of Loihi's own neurons (see `asnn_deploy.loihi`) for Lava's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asnn_deploy.deploy.bundle import FIXED
from asnn_deploy.deploy.exporters import EXPORTERS, Exporter
from asnn_deploy.errors import GraphError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.serialize import save_graph
from asnn_deploy.loihi import to_loihi
from asnn_deploy.quantizing import quantize
from asnn_deploy.util.files import write_text

SCRIPT = "run.py"

_SCRIPT = '''"""Runs this network on Lava Processes: python {script}"""

import sys

if not sys.flags.isolated and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # this script's folder, where Python looks first: a numpy.py that somebody put there must not run

from pathlib import Path

{imports}
folder = Path(__file__).resolve().parent
net = {network}
{samples}
trace = asnn_deploy.run(net, samples, target="{target}")
for layer, spikes in trace.spikes.items():
    print(f"{{layer}}: {{spikes.mean():.1%}} of its neurons fire in a step")
print("predictions:", trace.predictions.tolist())
'''
_KNOWN_IMAGES = """try:
    samples, labels = load_data({data!r}).part("test", 8)  # [N, C, H, W]
except asnn_deploy.AsnnDeployError as error:
    raise SystemExit(f"error: {{error}}") from None
samples = samples.transpose(0, 2, 3, 1)
print("labels:     ", labels.tolist())"""
_RANDOM_IMAGES = """channels, height, width = net.input_shape
samples = np.random.default_rng(0).random((8, height, width, channels))  # put your own here: uint8, or float 0..1"""
_KNOWN_FRAMES = """try:
    samples = load_sequences({data!r}).images["test"][:8]  # [N, T, ...]
except asnn_deploy.AsnnDeployError as error:
    raise SystemExit(f"error: {{error}}") from None"""
_RANDOM_FRAMES = """shape = (8, net.code.time_steps or 20, *net.input_shape)
# Put your own here, [N, T, ...]: spikes, counts or values.
samples = (np.random.default_rng(0).random(shape) < 0.2) * np.float32(min(1, net.code.most))"""


class LavaExporter(Exporter):
    """A bundle only."""

    name = "lava"
    settings: Mapping[str, tuple[str, ...]] = {"processes": ("fused", "stock")}

    def unavailable(self) -> str | None:
        """Writing needs NIR, and not Lava: a bundle may be made where Lava cannot be installed."""
        return EXPORTERS.reason("nir")

    def write(
        self, graph: DeployGraph, folder: Path, *, data: str | None = None, processes: str = "fused", **_options: Any
    ) -> list[str]:
        """Write `fixed.npz` and `run.py`; without `fixed.npz` if there is no integer version.

        data: the `--data` text of the images that the script runs; random images without.
        processes: "fused": this project's; "stock": Lava's own, raising UnsupportedError where they cannot carry the
            network.
        """
        stock = processes == "stock"
        fixed = to_loihi(graph, graph.quantization.bits) if stock else quantized(graph)
        names = []
        if fixed is not None:
            save_graph(folder / FIXED, fixed)
            names.append(FIXED)
        target = "lava-stock" if stock else "lava" if fixed is None else "lava-fixed"
        write_text(folder / SCRIPT, script(target, data, graph.code.kind))
        return [*names, SCRIPT]


def quantized(graph: DeployGraph) -> DeployGraph | None:
    """The integer version; None where there is none, such as for a neuron model without integer equations."""
    try:
        return quantize(graph)
    except GraphError:
        return None


def script(target: str, data: str | None, kind: str) -> str:
    """The text of `run.py`; kind: of what enters, "image" or "sequence"."""
    imports, network, image = "import asnn_deploy\n", "asnn_deploy.load(folder)", kind == "image"
    if data is None:
        imports, samples = "import numpy as np\n\n" + imports, _RANDOM_IMAGES if image else _RANDOM_FRAMES
    else:
        imports += f"from asnn_deploy.input.data import {'load_data' if image else 'load_sequences'}\n"
        samples = (_KNOWN_IMAGES if image else _KNOWN_FRAMES).format(data=data)
    if target == "lava-stock":
        # In Loihi's neurons from here on: the network's other integer version is made from its floats.
        imports += "from asnn_deploy.ir.serialize import load_graph\n"
        network = f'load_graph(folder / "{FIXED}")'
    return _SCRIPT.format(script=SCRIPT, imports=imports, samples=samples, target=target, network=network)


exporter = LavaExporter()
