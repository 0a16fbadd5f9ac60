"""Networks of Loihi's own neurons and synapses, for hardware and Lava Processes that cannot be programmed.

synapses.py   the integer arithmetic of Loihi's weights (the neuron's is in `neurons/loihi_lif.py`)
rules.py      what such a network can be
convert.py    a static float network in Loihi's integers
"""

from __future__ import annotations

from asnn_deploy.loihi.convert import to_loihi
from asnn_deploy.loihi.rules import check_loihi

__all__ = ["check_loihi", "to_loihi"]
