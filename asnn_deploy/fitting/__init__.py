"""Whether a network fits on a chip: which neuron on which core, and which limit binds.

chip = load_chip("loihi2")
place(graph, chip).core_of["conv1"]       # the core of each neuron
fit(graph, chip).to_json()                # cores, chips, what binds, what would make it fit
"""

from asnn_deploy.fitting.chip import Chip, chip_names, load_chip
from asnn_deploy.fitting.placement import Core, Placement, place
from asnn_deploy.fitting.verdict import Fit, fit

__all__ = ["Chip", "Core", "Fit", "Placement", "chip_names", "fit", "load_chip", "place"]
