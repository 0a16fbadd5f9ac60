"""SpikingJelly's op_counter on saved networks; run by agreement.py in an environment of its own (Python 3.11).

    python3.11 benchmarks/agreement_spikingjelly.py NETWORK.npz...

Prints one JSON object: for each file the totals of SynOpCounter and MACCounter, and the spikes of each layer.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent / "common")

from spikingjelly.activation_based.op_counter import DispatchCounterMode, MACCounter, SynOpCounter
from torch_network import TorchNetwork


def main() -> None:
    """Count every file's network on its own frames."""
    found = {}
    for path in map(Path, sys.argv[1:]):
        network = TorchNetwork(path)
        synops, macs = SynOpCounter(), MACCounter()
        with DispatchCounterMode([synops, macs]):
            network(network.frames)
        spikes = {name: int(sum(x.sum() for x in steps)) for name, steps in network.spikes.items()}
        found[path.stem] = {"synops": synops.get_total(), "macs": macs.get_total(), "spikes": spikes}
    print(json.dumps({"version": version("spikingjelly"), "networks": found}))


if __name__ == "__main__":
    main()
