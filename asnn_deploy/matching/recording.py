"""A recording: what another tool's network was fed, and what its nodes sent.

An `.npz` file: `input` `[T, B, ...]`, and for each recorded node an array of its name `[T, B, ...]`, of spikes or
counts; membrane potentials as `NODE/v`. Nodes may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asnn_deploy.errors import DataError
from asnn_deploy.ir.granularity import Shape
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.files import DAMAGE, describe
from asnn_deploy.util.progress import phase
from asnn_deploy.util.suggest import unknown_name

INPUT = "input"
POTENTIALS = "/v"


@dataclass(frozen=True, eq=False)
class Recording:
    """What a network was fed and sent, by the names of its layers.

    frames: `[T, B, ...]`. spikes, potentials: `[T, B, ...]` each; counts where neurons fired several times in a step.
    """

    frames: Array
    spikes: Mapping[str, Array]
    potentials: Mapping[str, Array]

    @property
    def time_steps(self) -> int:
        """T."""
        return len(self.frames)

    @property
    def samples(self) -> Array:
        """The frames as a network takes them, `[B, T, ...]`."""
        return np.ascontiguousarray(self.frames.swapaxes(0, 1))

    def first(self, count: int) -> Recording:
        """Return the recording of the first samples only."""
        spikes, potentials = ({k: v[:, :count] for k, v in part.items()} for part in (self.spikes, self.potentials))
        return Recording(self.frames[:, :count], spikes, potentials)


@phase("read the recording")
def read_recording(
    path: Path, graph: DeployGraph, names: Mapping[str, str] | None = None, batch_first: bool = False
) -> Recording:
    """Return a recording of a network's nodes. names: node name to layer name, where they differ.

    batch_first: its arrays are `[B, T, ...]`. Raises DataError naming the file and the array that does not fit.
    """
    arrays = _arrays(path)
    if INPUT not in arrays:
        raise DataError(f"{path}: lacks the array 'input', what the network was fed; it holds {_listed(arrays)}")
    if batch_first:
        arrays = {key: array.swapaxes(0, 1) if array.ndim > 1 else array for key, array in arrays.items()}
    frames = arrays.pop(INPUT).astype(np.float32)
    leading = frames.shape[:2]
    _check_shape(path, INPUT, frames, leading, graph.input_shape)
    spikes, potentials = {}, {}
    known = {node: layer for node, layer in (names or {n: n for n in graph.by_name}).items() if layer in graph.by_name}
    firing = {node for node, layer in known.items() if graph.by_name[layer].fires}
    for key, array in arrays.items():
        node = key.removesuffix(POTENTIALS)
        if node not in known:
            raise DataError(f"{path}: array {key!r}: {unknown_name('node', node, firing)}")
        layer = graph.by_name[known[node]]
        _check_shape(path, key, array, leading, graph.shapes[layer.name])
        if not layer.fires:
            raise DataError(f"{path}: array {key!r}: node {node!r} has no neurons ({layer.kind}); record neurons only")
        if key.endswith(POTENTIALS) or layer not in graph.spiking:
            potentials[layer.name] = array.astype(np.float32)
        else:
            spikes[layer.name] = _whole(path, key, array)
    if not spikes and not potentials:
        raise DataError(f"{path}: records no node; give an array of spikes for at least one of {_listed(firing)}")
    if all(array.min() == array.max() for array in (*spikes.values(), *potentials.values())):
        raise DataError(f"{path}: nothing that was recorded ever changes; rules cannot be told apart by it")
    return Recording(frames, spikes, potentials)


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: is a single array; a recording is an .npz file of named arrays")
            arrays = {key: file[key] for key in file.files}
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(f"{path}: cannot be read as an .npz file ({describe(error)})") from error
    for key, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.size == 0:
            raise DataError(f"{path}: array {key!r} holds no numbers ({array.dtype}, shape {list(array.shape)})")
        if not np.isfinite(array).all():
            raise DataError(f"{path}: array {key!r} holds NaN or infinity")
    return arrays


def _check_shape(path: Path, key: str, array: Array, leading: Shape, shape: Shape) -> None:
    if array.ndim >= 2 and array.shape == (*leading, *shape):
        return
    expected = f"[{', '.join(map(str, leading if len(leading) == 2 else ('T', 'B')))}, {', '.join(map(str, shape))}]"
    turned = (*leading[::-1], *shape)
    hint = "; its first two axes look exchanged" if array.shape == turned and leading[0] != leading[-1] else ""
    raise DataError(f"{path}: array {key!r} has shape {list(array.shape)}, expected {expected}{hint}")


def _whole(path: Path, key: str, array: Array) -> Array:
    if (array < 0).any() or (array != np.rint(array)).any():
        worst = array[(array < 0) | (array != np.rint(array))].reshape(-1)[0]
        raise DataError(f"{path}: array {key!r} holds {worst:g}; spikes are whole numbers, potentials go by {key!r}/v")
    return array.astype(np.uint8 if array.max() <= 255 else np.float32)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names))) or "nothing"
