"""Calibration: weight clips chosen on images, layer by layer, so that spikes differ least from the float network's.

Changing a layer's clips changes nothing before it, so what reaches the layer is computed once, and a candidate runs
only from there to the neurons (or the readout) that the layer feeds. The candidates have the least error of currents or
of weights, or something between (`least_error.py`); which of them is best, the spikes decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from asnn_deploy.engine.executor import Executor
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import DataError
from asnn_deploy.ir.graph import INPUT, DeployGraph
from asnn_deploy.ir.layers import Synapses
from asnn_deploy.ir.quantization import DEFAULT_BITS, Clip, Quantization
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.quantizing.integers import quantize
from asnn_deploy.quantizing.least_error import least_error_clips, second_moments
from asnn_deploy.quantizing.scales import has_channel_scales
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import Phase, phase

RIDGES = (0.001, 0.03, 1.0)
"""Candidates: from the least error of the currents on these images towards the least error of the weights."""
BATCH = 64
CALIBRATION = "choose weight clips"
"""The phase that `calibrate` is."""


def calibrate(graph: DeployGraph, images: Array, bits: int = DEFAULT_BITS, scales: str = "channel") -> DeployGraph:
    """The float graph with the choices of its integer version, made on images.

    images: uint8 `[N, C, H, W]`. Raises DataError where they are not what the network takes, InputError for bits or
    scales that do not exist, GraphError where the network has no integer version.
    """
    if graph.code.kind == "image" and images.shape[1:] != graph.input_shape:
        raise DataError(
            f"calibration images are {images.shape[1:]} (channels, height, width), "
            f"the network takes {graph.input_shape}"
        )
    graph.code.check(images, graph.input_shape, "calibration samples")
    graph = replace(graph, quantization=Quantization(bits, scales))
    with phase(CALIBRATION, len(graph.synapses)) as under_way:
        return _calibrated(graph, images, under_way)


def _calibrated(graph: DeployGraph, images: Array, under_way: Phase) -> DeployGraph:
    expected = run(graph, images, Record(spikes=True), BATCH)
    reached: dict[str, Array] = {INPUT: graph.code.frames(images).astype(np.uint8)}
    position = graph.position
    done = 0  # layers before this one are settled, and what leaves them is in `reached`
    for layer in graph.synapses:
        if not graph.cycles:
            reached = _advance(quantize(graph), done, position[layer.name], reached)
            done = position[layer.name]
        judges = _judges(graph, layer.name)
        names = [one.name for one in graph.layers[done : max(position[name] for name in judges) + 1]]
        trials = [with_clips(graph, layer.name, clips) for clips in _candidates(graph, layer, reached)]
        scores = []
        for trial in trials:
            fixed = quantize(trial)
            scores.append(_disagreement(fixed, run_part(fixed, names, reached, judges), expected))
        graph = trials[scores.index(min(scores))]
        under_way.advance()
    return graph


def _candidates(graph: DeployGraph, layer: Synapses, reached: Mapping[str, Array]) -> list[Clip]:
    """Clips worth trying for a layer: none, and those of least error."""
    each, bits = has_channel_scales(graph, layer.name), graph.quantization.bits
    source = graph.inputs_of[layer.name][0].source
    moments: list[Array | None] = [None] * len(layer.weight.values)
    if source in reached and reached[source].size:
        steps = [reached[source][layer.weight.index == k] for k in range(len(moments))]
        moments = [second_moments(layer, x.reshape(-1, *x.shape[2:])) if len(x) else None for x in steps]
    chosen = [least_error_clips(w, bits, each, moment, RIDGES) for w, moment in zip(layer.weight.values, moments)]
    return [1.0, *(tuple(tuple(clips.tolist()) for clips in of_weights) for of_weights in zip(*chosen))]


def with_clips(graph: DeployGraph, name: str, clips: Clip) -> DeployGraph:
    """The graph with other clips for one layer."""
    choices = graph.quantization
    return replace(graph, quantization=replace(choices, clips={**choices.clips, name: clips}))


def _judges(graph: DeployGraph, name: str) -> list[str]:
    """The neurons and readouts that a layer's currents reach first."""
    found: list[str] = []
    for reader in graph.readers(name):
        found += [reader.name] if reader.fires or reader.answers else _judges(graph, reader.name)
    return list(dict.fromkeys(found))


def _advance(fixed: DeployGraph, start: int, stop: int, reached: dict[str, Array]) -> dict[str, Array]:
    """What leaves the settled layers and is still read from layer `stop` on."""
    later = {layer.name for layer in fixed.layers[stop:]}
    wanted = {edge.source for edge in fixed.edges if edge.target in later}
    names = [layer.name for layer in fixed.layers[start:stop]]
    new = run_part(fixed, names, reached, [name for name in names if name in wanted]) if names else {}
    return {name: signal for name, signal in {**reached, **new}.items() if name in wanted}


def run_part(
    fixed: DeployGraph, names: Sequence[str], reached: Mapping[str, Array], wanted: Sequence[str]
) -> dict[str, Array]:
    """What leaves the wanted layers, `[T, N, ...]`, when only the named ones run; spikes as uint8.

    reached: `[T, N, ...]` of everything that is read and not named.
    """
    executor = Executor(fixed, names, wanted, potentials=False)
    count = next(iter(reached.values())).shape[1]
    parts: dict[str, list[Array]] = {name: [] for name in wanted}
    for i in range(0, count, BATCH):
        executor.reset(len(range(i, min(i + BATCH, count))))
        blocks: dict[str, list[Array]] = {name: [] for name in wanted}
        for steps in executor.blocks():
            now = (slice(steps.start, steps.stop), slice(i, i + BATCH))
            signals = executor.advance(steps, {name: signal[now] for name, signal in reached.items()})
            for name in wanted:
                blocks[name].append(_compact(signals[name]))
        for name in wanted:
            parts[name].append(np.concatenate(blocks[name]))
    return {name: np.concatenate(part, axis=1) for name, part in parts.items()}


def _compact(signal: Array) -> Array:
    """As bytes where that holds it; currents stay wide."""
    small = signal.size == 0 or (signal.min() >= 0 and signal.max() <= np.iinfo(np.uint8).max)
    return signal.astype(np.uint8) if small else signal


def _disagreement(fixed: DeployGraph, got: Mapping[str, Array], expected: Trace) -> tuple[int, float]:
    """Spikes that differ, and the distance of the logits, over the layers that ran."""
    spikes = sum(int(np.count_nonzero(got[name] != expected.spikes[name])) for name in got if name in expected.spikes)
    answer = fixed.readout
    if answer.name not in got:
        return spikes, 0.0
    logits = got[answer.name].sum(axis=0).reshape(expected.logits.shape) * answer.unit
    return spikes, float(np.abs(logits - expected.logits).sum())
