"""Other frameworks' neurons, timed round by round for neurons.py, in an environment that has them (Python 3.11).

    OTHER/bin/python benchmarks/neurons_others.py cpu|cuda THREADS T B C H W

Reads names from standard input, a line each: runs that framework's layer forward and backward once, and answers with
one JSON object: its seconds and its version.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import snntorch
import torch
from spikingjelly.activation_based import functional, neuron, surrogate
from torch import Tensor


def spikingjelly() -> Callable[[Tensor], Tensor]:
    """Its multi-step LIF, which runs in its fused Triton kernel on CUDA: leak 0.5, reset by subtraction."""
    sigmoid = surrogate.Sigmoid(alpha=4.0)
    layer = neuron.LIFNode(2.0, decay_input=False, v_reset=None, surrogate_function=sigmoid, step_mode="m")

    def run(x: Tensor) -> Tensor:
        functional.reset_net(layer)
        return layer(x)

    return run


def snntorch_leaky() -> Callable[[Tensor], Tensor]:
    """Its LIF, step by step as its tutorials run it: leak 0.5, reset by subtraction (one step later)."""
    layer = snntorch.Leaky(beta=0.5, spike_grad=snntorch.surrogate.sigmoid(slope=4))

    def run(x: Tensor) -> Tensor:
        potential, spikes = layer.to(x.device).reset_mem(), []
        for current in x:
            fired, potential = layer(current, potential)
            spikes.append(fired)
        return torch.stack(spikes)

    return run


LAYERS = {"spikingjelly": spikingjelly, "snntorch": snntorch_leaky}


def main() -> None:
    """Answer until the input ends."""
    device, threads, *shape = sys.argv[1:]
    torch.set_num_threads(int(threads))
    x = torch.randn(*map(int, shape), device=device).requires_grad_()
    weights = torch.randn_like(x)
    layers = {name: make() for name, make in LAYERS.items()}
    for line in sys.stdin:
        name = line.strip()
        start = time.perf_counter()
        torch.autograd.grad(layers[name](x), x, weights)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "version": version(name)}), flush=True)


if __name__ == "__main__":
    main()
