"""Quantisation: a float DeployGraph to one in integers, its choices made on data, and what it did.

integers.py     graph -> graph, by the choices that the graph carries (`asnn_deploy.ir.quantization`)
calibrate.py    those choices, made on images
report.py       what a quantisation did, layer by layer
"""

from __future__ import annotations

from asnn_deploy.ir.quantization import DEFAULT_BITS, Quantization, check_bits
from asnn_deploy.quantizing.calibrate import CALIBRATION, calibrate
from asnn_deploy.quantizing.integers import quantize
from asnn_deploy.quantizing.report import quantization_report

__all__ = [
    "CALIBRATION",
    "DEFAULT_BITS",
    "Quantization",
    "calibrate",
    "check_bits",
    "quantization_report",
    "quantize",
]
