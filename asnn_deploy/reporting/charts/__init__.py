"""The report's charts as inline SVG, each drawn for the width that it is given, none wider.

heatmap.py   a figure for each layer and step: spikes, operations, differing spikes
energy.py    energy by part under each profile
curves.py    lines: accuracy and cost over the steps, early exit, one sample's logits
cores.py     which layer sits on which core of a chip
"""

from asnn_deploy.reporting.charts.cores import cores
from asnn_deploy.reporting.charts.curves import early_exit, logits, over_steps
from asnn_deploy.reporting.charts.energy import energies
from asnn_deploy.reporting.charts.heatmap import differences, operations, spikes
from asnn_deploy.reporting.charts.layout import NARROW, WIDE

__all__ = [
    "NARROW",
    "WIDE",
    "cores",
    "differences",
    "early_exit",
    "energies",
    "logits",
    "operations",
    "over_steps",
    "spikes",
]
