"""A saved network (`agreement_networks.save`) in plain PyTorch, for counters that watch torch modules.

Needs torch and NumPy only, so that it also runs in an environment without this project.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class TorchNetwork(nn.Module):
    """The network step by step, written from the neuron's equations; one torch layer for each entry of a table."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        with np.load(path, allow_pickle=False) as saved:
            self.arrays: dict[str, Any] = {key: saved[key] for key in saved.files}
        self.plan = json.loads(str(self.arrays.pop("plan")))
        self.frames = torch.from_numpy(self.arrays.pop("frames"))
        self.synapses = nn.ModuleDict(
            {e["name"]: nn.ModuleList(self._entries(e)) for e in self.plan if e["kind"] in ("conv", "linear")}
        )
        self.spikes: dict[str, list[Tensor]] = {}

    def _entries(self, entry: dict[str, Any]) -> list[nn.Module]:
        made: list[nn.Module] = []
        bias = self.arrays.get(f"{entry['name']}/bias")
        for weight in self.arrays[f"{entry['name']}/weight"]:
            if entry["kind"] == "linear":
                layer: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
            else:
                options = {key: entry[key] for key in ("stride", "padding", "dilation", "groups")}
                inputs = weight.shape[1] * entry["groups"]
                layer = nn.Conv2d(inputs, weight.shape[0], weight.shape[2:], bias=bias is not None, **options)
            layer.weight.data = torch.from_numpy(weight)
            if bias is not None:
                layer.bias.data = torch.from_numpy(bias[0])
            made.append(layer)
        return made

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Coded frames `[T, N, C, H, W]` to the sum of the answers `[N, classes]`; keeps the spikes of each layer."""
        self.spikes = {e["name"]: [] for e in self.plan if e["kind"] == "neuron"}
        potentials: dict[str, Tensor] = {}
        answers = []
        for t, x in enumerate(frames):
            for entry in self.plan:
                x = self._layer(entry, t, x, potentials)
            answers.append(x)
        return torch.stack(answers).sum(dim=0)

    def _layer(self, entry: dict[str, Any], t: int, x: Tensor, potentials: dict[str, Tensor]) -> Tensor:
        name, kind = entry["name"], entry["kind"]
        if name in self.synapses:
            entries: Any = self.synapses[name]
            return entries[int(self.arrays[f"{name}/weight/index"][t])](x)
        if kind == "neuron":
            leak, gain, threshold = (self._at(name, key, t) for key in ("leak", "gain", "threshold"))
            v = leak * potentials.get(name, torch.zeros_like(x)) + gain * x
            spikes = (v > threshold).float()
            potentials[name] = v - spikes * threshold
            self.spikes[name].append(spikes)
            return spikes
        if kind == "pool":
            if entry["mode"] == "max":
                return functional.max_pool2d(x, entry["kernel"], entry["stride"], entry["padding"])
            return functional.avg_pool2d(x, entry["kernel"], entry["stride"], entry["padding"], divisor_override=1)
        return x.flatten(1) if kind == "flatten" else self._at(name, "scale", t) * x

    def _at(self, name: str, key: str, t: int) -> float:
        return float(self.arrays[f"{name}/{key}"][self.arrays[f"{name}/{key}/index"][t]])
