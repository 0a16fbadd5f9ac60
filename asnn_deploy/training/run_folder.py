"""Run folders: what `train` and `import` leave behind.

config.yaml         everything the run depends on
model.safetensors   the weights
network.npz         the network that they were lowered to, so that deploying it needs no torch
metrics.csv         one row an epoch, and curve.png drawn from it
rates.csv           firing rates: one row an epoch, layer and step
summary.json        what came out
checkpoints/        to resume from: the last one, and the one before
tensorboard/        event files, where wanted

The trained network itself is read by `trained.py`; nothing here loads torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from asnn_deploy.errors import BundleError, InputError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.quantization import Quantization
from asnn_deploy.ir.serialize import load_graph, save_graph
from asnn_deploy.training.config import RunConfig, make_config, read_config
from asnn_deploy.util.files import describe, digest, holding_folder, write_text
from asnn_deploy.util.progress import phase

CONFIG, WEIGHTS, NETWORK, METRICS, SUMMARY, CURVE = (
    "config.yaml",
    "model.safetensors",
    "network.npz",
    "metrics.csv",
    "summary.json",
    "curve.png",
)
RATES, TENSORBOARD = "rates.csv", "tensorboard"
CHECKPOINT = Path("checkpoints") / "last.ckpt"
PARTS = (CONFIG, WEIGHTS, NETWORK, METRICS, SUMMARY, CURVE, RATES, TENSORBOARD, CHECKPOINT.parent.name)
"""All that a training writes into its folder."""
DIGESTS = "files"
"""The key of the summary that holds the SHA-256 of the files that belong together."""


@contextmanager
def writing_run(folder: Path, resume: bool) -> Iterator[None]:
    """Hold a run folder while it is trained into. If the training fails before its first checkpoint, nothing can be
    resumed, and what it has written goes.

    Raises InputError if another process holds the folder, or if it holds a run and `resume` is false.
    """
    with holding_folder(folder):
        check_new(folder, resume)
        absent = [name for name in PARTS if not (folder / name).exists()]
        try:
            yield
        except (Exception, KeyboardInterrupt):
            if not (folder / CHECKPOINT).exists():
                remove(folder, absent)
            raise


def check_new(folder: Path, resume: bool) -> None:
    """Raise InputError if a folder holds a run that is not to be resumed."""
    if not resume and (folder / CONFIG).exists():
        raise InputError(f"{folder}: holds a run already; resume it, or choose another folder")


def remove(folder: Path, parts: Iterable[str] = PARTS) -> None:
    """Remove a run's parts from its folder; whatever else is there stays."""
    for path in (folder / name for name in parts):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def settled_config(folder: Path) -> RunConfig:
    """Return the configuration of a finished run. Raises BundleError naming the file that is missing or foreign."""
    file = folder / CONFIG
    if not file.is_file():
        raise BundleError(
            f"{folder}: not a run folder (it has no {CONFIG}); give a folder made by 'asnn-deploy train' or "
            "'asnn-deploy import'"
        )
    config = make_config(read_config(file), str(file))
    if not (folder / WEIGHTS).is_file():
        raise BundleError(f"{folder / WEIGHTS}: missing; the training has not finished, resume it")
    if config.model.input_shape is None or config.model.classes is None:
        raise BundleError(f"{file}: lacks model.input_shape or model.classes; not written by 'asnn-deploy train'")
    return config


def read_summary(folder: Path) -> tuple[dict[str, Any], Quantization]:
    """Return what came out of a training, empty if it did not end, and the choices of its integer version.

    Raises BundleError naming the file if it is damaged.
    """
    file = folder / SUMMARY
    try:
        summary = json.loads(file.read_text()) if file.is_file() else {}
        return summary, Quantization.from_json(summary.get("quantization") or {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{file}: damaged ({describe(error)}); train again or restore the file") from None


@phase("write the run folder")
def finish_run(folder: Path, graph: DeployGraph, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Write a run's last files, next to configuration and weights: the network that the weights are lowered to, and
    the summary, which is returned with the digests of the files that belong together."""
    choices = Quantization.from_json(summary.get("quantization") or {})
    save_graph(folder / NETWORK, replace(graph, quantization=choices))
    whole = {**summary, DIGESTS: {name: digest(folder / name) for name in (CONFIG, WEIGHTS, NETWORK)}}
    write_text(folder / SUMMARY, json.dumps(whole, indent=2) + "\n")
    return whole


def kept_network(folder: Path, summary: Mapping[str, Any]) -> DeployGraph | None:
    """Return the network that was kept, None if weights or configuration are no longer those that it was made of."""
    digests = summary.get(DIGESTS)
    if not isinstance(digests, dict) or digests.keys() != {CONFIG, WEIGHTS, NETWORK}:
        return None
    if any(not (folder / name).is_file() or digest(folder / name) != value for name, value in digests.items()):
        return None
    return load_graph(folder / NETWORK)
