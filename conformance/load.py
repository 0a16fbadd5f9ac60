"""Load portable NIR files in the tools that they were written for, run them, and record the spikes (see README.md).

    python conformance/load.py FOLDER        # every FOLDER/NAME.TOOL.nir on the input of FOLDER/NAME.npz

Run it in an environment made of conformance/requirements.txt. It writes FOLDER/NAME.TOOL.npz: the spikes of every
neuron node by its name, `[T, B, ...]`, as the tool's own importer makes them. What fails there is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

Array = np.ndarray[Any, Any]
NEURONS = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold)


def main(folder: Path) -> int:
    torch.set_num_threads(1)
    failed = 0
    for path in sorted(folder.glob("*.*.nir")):
        name, tool = path.stem.rsplit(".", 1)
        with np.load(folder / f"{name}.npz") as file:
            x = torch.from_numpy(file["input"].astype(np.float32))
        try:
            spikes = LOADERS[tool](path, x)
        except Exception as error:  # whatever a tool raises is its answer
            print(f"{path.stem}: {type(error).__name__}: {str(error)[:300]}")
            failed += 1
            continue
        small = {k: v.astype(np.uint8) for k, v in spikes.items() if (v == v.astype(np.uint8)).all()}
        np.savez_compressed(folder / f"{path.stem}.npz", **spikes | small)
        print(f"{path.stem}: " + ", ".join(f"{k} {v.mean():.3f}" for k, v in spikes.items()))
    return failed


def read(path: Path) -> Any:
    """Return a file's graph. NIR's type check takes kernels as square, so it is left out."""
    return nir.read(path, type_check=False)


def watched(net: torch.nn.Module, graph: Any) -> dict[str, list[Array]]:
    """Return lists that the outputs of all neuron nodes are added to at each call, by name."""
    modules = {name.split(".")[-1]: module for name, module in net.named_modules()}
    found: dict[str, list[Array]] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, NEURONS):
            found[name] = []

            def hook(_module: Any, _inputs: Any, out: Any, kept: list[Array] = found[name]) -> None:
                spikes = out[0] if isinstance(out, tuple) else out
                kept.append(spikes.detach().numpy().copy())

            modules[name.replace(".", "_")].register_forward_hook(hook)
    return found


def stepped(net: Any, graph: Any, x: torch.Tensor) -> dict[str, Array]:
    """Run a network that takes a step and its state at each call."""
    kept, state = watched(net, graph), None
    with torch.no_grad():
        for frame in x:
            _, state = net(frame, state)
    return {name: np.stack(steps).reshape(*x.shape[:2], *steps[0].shape[1:]) for name, steps in kept.items()}


def snntorch(path: Path, x: torch.Tensor) -> dict[str, Array]:
    from snntorch.import_nir import import_from_nir

    return stepped(import_from_nir(read(path)), read(path), x)


def norse(path: Path, x: torch.Tensor) -> dict[str, Array]:
    from norse.torch import from_nir

    return stepped(from_nir(read(path)), read(path), x)


def spikingjelly(path: Path, x: torch.Tensor) -> dict[str, Array]:
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return stepped(import_from_nir(read(path)), read(path), x)


def sinabs(path: Path, x: torch.Tensor) -> dict[str, Array]:
    from sinabs import from_nir

    net = from_nir(read(path), batch_size=x.shape[1])
    return at_once(net, read(path), x, x.swapaxes(0, 1).flatten(0, 1))


def rockpool(path: Path, x: torch.Tensor) -> dict[str, Array]:
    from rockpool.nn.modules.torch.nir import from_nir

    return at_once(from_nir(read(path)), read(path), x, x.swapaxes(0, 1))


def at_once(net: Any, graph: Any, x: torch.Tensor, entering: torch.Tensor) -> dict[str, Array]:
    """Run a network that takes all steps at one call, batch first."""
    kept = watched(net, graph)
    with torch.no_grad():
        net(entering)
    steps, batch = x.shape[:2]
    found = {name: calls[0] for name, calls in kept.items()}
    inner = {name: a.shape[1 if len(a) == steps * batch else 2 :] for name, a in found.items()}
    return {name: a.reshape(batch, steps, *inner[name]).swapaxes(0, 1).copy() for name, a in found.items()}


LOADERS: dict[str, Callable[[Path, torch.Tensor], dict[str, Array]]] = {
    "norse": norse,
    "rockpool": rockpool,
    "sinabs": sinabs,
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
}

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
