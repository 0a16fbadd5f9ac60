"""A network's integer versions at several weight widths, measured on one data set: figures, a table, a plot.

points = read_points(folder / FILE)                                # what is there already
points.append(measure(Plan(4, "ptq", None, inputs), graph, chosen, images, labels, cuts, batch_size))
publish(folder, points, "my network")                              # sweep.json, sweep.md, sweep.png
"""

from asnn_deploy.sweeping.measure import measure, synapse_bytes
from asnn_deploy.sweeping.page import COLUMNS, publish, rows
from asnn_deploy.sweeping.points import FILE, METHODS, Plan, Point, fingerprint, parse_bits, read_points

__all__ = [
    "COLUMNS",
    "FILE",
    "METHODS",
    "Plan",
    "Point",
    "fingerprint",
    "measure",
    "parse_bits",
    "publish",
    "read_points",
    "rows",
    "synapse_bytes",
]
