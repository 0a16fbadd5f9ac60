"""`quantize`: a network with the choices of its integer version, and what that version does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asnn_deploy.api.network import CALIBRATION_SAMPLES, Network, Samples, check_count, data_of, opened, taken
from asnn_deploy.deploy.source import Source
from asnn_deploy.input.data import Data
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.quantizing import calibrate, check_bits, quantization_report

LIMIT = 1000
"""Samples on which the integer version is held against the float one, unless more or fewer are asked for."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """A network and what its integer version does on some samples.

    net: the float network with the choices of its integer version, which every function takes.
    report: what `quantize --json` writes.
    """

    net: DeployGraph
    report: dict[str, Any]

    @property
    def bits(self) -> int:
        """Weight bits."""
        return self.net.quantization.bits

    @property
    def accuracy(self) -> float | None:
        """Of the network in integers; None if the labels are not known."""
        found: float | None = self.report["accuracy"]
        return found

    @property
    def accuracy_float(self) -> float | None:
        """Of the network in float."""
        found: float | None = self.report["accuracy_float"]
        return found

    @property
    def spike_disagreement(self) -> float | None:
        """Share of the spikes that differ between the two."""
        found: float | None = self.report["spike_disagreement"]
        return found

    def __repr__(self) -> str:
        told = "" if self.accuracy is None else f"accuracy {self.accuracy:.2%} (float {self.accuracy_float:.2%}), "
        differing = self.spike_disagreement or 0.0
        return f"<Quantized: {self.bits}-bit weights, {told}{differing:.2%} of the spikes differ>"


def quantize(net: Network, data: Samples = None, *, bits: int | None = None, limit: int | None = LIMIT) -> Quantized:
    """Choose the integer version of a network, and hold it against the float one.

    bits: of the weights, 2 to 8; new ones are chosen on training samples of the data. Default: the choices that the
    network carries. data: "NAME[:PATH]", images, or images and labels; default: the network's own. limit: samples to
    compare.
    Returns both: `net`, which other functions take, and the figures.
    Raises InputError for other bits, GraphError naming a layer that has no integer version, DataError.
    """
    with opened(net) as source:
        found = data_of(source, data)
        images, labels = taken(source, found, "test", limit)
        graph = source.graph if bits is None else with_bits(source, bits, found)
        return Quantized(graph, quantization_report(graph, images, labels))


def with_bits(source: Source, bits: int, data: Data) -> DeployGraph:
    """Return the network with the choices of an integer version of other bits, made on training samples."""
    check_count(bits, "bits")
    check_bits(bits)
    if bits == source.graph.quantization.bits:
        return source.graph
    images = taken(source, data, "train", CALIBRATION_SAMPLES).images
    return calibrate(source.graph, images, bits, source.graph.quantization.scales)
