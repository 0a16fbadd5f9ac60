"""The networks by name. How to add one: a file like `lenet.py`, and its line in `MODELS`."""

from __future__ import annotations

from asnn_deploy.models.lenet import lenet
from asnn_deploy.models.sew_resnet import sew_resnet
from asnn_deploy.models.spikformer import spikformer

MODELS = {"lenet": lenet, "sew-resnet": sew_resnet, "spikformer": spikformer}
