"""What came out of a training: accuracies of the network as deployed, what snapping changed, the integer version."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from asnn_deploy.errors import GraphError
from asnn_deploy.input.data import Data
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.models.lowering import lower
from asnn_deploy.models.network import SpikingNetwork, exact_sums
from asnn_deploy.quantizing import CALIBRATION, DEFAULT_BITS, Quantization, calibrate, quantize
from asnn_deploy.training.config import RunConfig, TrainingConfig
from asnn_deploy.training.loading import balanced
from asnn_deploy.training.validation import SPLIT
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import batches, track
from asnn_deploy.util.version import __version__

APART = 0.02
"""Share of the training images by which accuracy may differ between training mode and deployment without a warning."""
BATCH = 256
MOST_MEASURED, SNAP_SAMPLES = 10_000, 1000
"""Training images that are answered once more, and test images on which snapping is measured, at most."""
IN_TRAINING, AS_TRAINED, SNAPPED = "answer in training mode", "answer as trained", "answer snapped"
IN_INTEGERS = "answer in integers"
CALIBRATING = 6
"""Choosing clips on an image takes about as long as answering it so many times."""
PACKAGES = ("torch", "norse", "lightning", "numpy")


def evaluate(network: SpikingNetwork, images: Array, what: str) -> tuple[Array, int, dict[str, Array]]:
    """Return predictions `[N]`, the number of spikes, and per layer the spikes packed to bits, in evaluation.

    what: the phase that this is (see `measuring`).
    """
    predictions, packed = [], []
    network.eval()
    with exact_sums():
        for cut in batches(len(images), BATCH, what):
            logits, spikes = network.trace(torch.from_numpy(images[cut]))
            predictions.append(logits.argmax(1).numpy())
            packed.append({name: np.packbits(s.numpy().astype(bool)) for name, s in spikes.items()})
    joined = {name: np.concatenate([part[name] for part in packed]) for name in packed[0]}
    count = int(sum(np.unpackbits(bits).sum() for bits in joined.values()))
    return np.concatenate(predictions), count, joined


def in_training_mode(network: SpikingNetwork, images: Array, training: TrainingConfig) -> Array:
    """Return predictions `[N]` with the statistics of batches, as while training: of shuffled images, in batches of the
    training's size or a little more. The network's own statistics stay as they are."""
    order = np.random.default_rng(training.seed).permutation(len(images))
    predictions = np.empty(len(images), np.int64)
    network.train()
    with exact_sums(), network.statistics_kept():
        for batch in track(np.array_split(order, max(1, len(order) // training.batch_size)), IN_TRAINING):
            predictions[batch] = network(torch.from_numpy(images[batch])).argmax(1).numpy()
    return predictions


def warn_if_apart(summary: Mapping[str, Any], training: TrainingConfig) -> None:
    """Warn in one line if the network answers the training images better or worse deployed than in training mode."""
    deployed, trained = summary["train_accuracy"], summary["train_accuracy_training_mode"]
    if abs(deployed - trained) <= APART:
        return
    remedies = {
        "train with training.statistics=deployed": training.statistics == "running",
        "train with training.batch_norm=run": training.batch_norm == "step",
        "train without training.segment, or with longer ones": training.segment is not None,
        "train with a larger training.batch_size": True,
    }
    remedy = next(remedy for remedy, fits in remedies.items() if fits)
    print(
        f"warning: of {summary['train_accuracy_samples']} training images, {100 * trained:.2f} % are answered right "
        f"with the statistics of batches, as in training, and {100 * deployed:.2f} % as deployed; {remedy}",
        file=sys.stderr,
    )


def measuring(config: RunConfig, data: Data) -> dict[str, float]:
    """Return the phases of `summarise` in their order, and how many images each answers."""
    counts: dict[str, float] = {split: len(labels) for split, labels in data.labels.items()}
    training = min(counts["train"], config.training.limit or counts["train"], MOST_MEASURED)
    snapped = min(counts["test"], SNAP_SAMPLES)
    phases: dict[str, float] = {IN_TRAINING: training, AS_TRAINED: snapped, SNAPPED: snapped}
    phases |= {answering("test"): counts["test"], answering("train"): training}
    phases |= {answering(SPLIT): counts[SPLIT]} if SPLIT in counts else {}
    return phases | {CALIBRATION: CALIBRATING * config.quantization.samples, IN_INTEGERS: counts["test"]}


def answering(split: str) -> str:
    """Return the name of the phase in which a split's images are answered."""
    return f"answer {split} images"


def summarise(config: RunConfig, data: Data, network: SpikingNetwork, epoch: int, speed: float) -> dict[str, Any]:
    """Return accuracies of the network as deployed (folded and snapped), and what snapping changed.

    epoch: the one that left these weights, counted from 0. speed: images that training saw a second, see `Speed`.
    """
    network.cpu()
    x_train, y_train = (part[balanced(data.labels["train"], config.training.limit)] for part in data.part("train"))
    x_train, y_train = x_train[:MOST_MEASURED], y_train[:MOST_MEASURED]
    validation = len(data.labels.get(SPLIT, ()))
    others = {"train": (x_train, y_train)} | ({"validation": data.part(SPLIT)} if validation else {})
    in_training = accuracy(in_training_mode(network, x_train, config.training), y_train)
    parameters = sum(p.numel() for p in network.parameters())
    return {
        "validation_accuracy": None,
        **as_deployed(config, data, network, others),
        "train_accuracy_samples": len(y_train),
        "train_accuracy_training_mode": in_training,
        "validation_samples": validation,
        "class_names": names_of(data),
        "deployed_epoch": epoch,
        "parameters": parameters,
        "samples_per_second": speed,
        **_settings(config),
        "versions": versions(),
    }


def as_deployed(
    config: RunConfig,
    data: Data,
    network: SpikingNetwork,
    others: Mapping[str, tuple[Array, Array]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the test accuracy of a network as deployed, what snapping changed, and its integer version's choices.

    others: more images and labels by a name, for an accuracy each. The network is left folded.
    """
    x_test, y_test = data.part("test")
    graph = lower(network.eval(), config.dt)
    snapping = _snap(network, graph, x_test[:SNAP_SAMPLES], y_test[:SNAP_SAMPLES])
    measured = {"test": (x_test, y_test), **others}
    answers = {name: evaluate(network, images, answering(name))[0] for name, (images, _) in measured.items()}
    accuracies = {f"{name}_accuracy": accuracy(answers[name], labels) for name, (_, labels) in measured.items()}
    chosen, refusal = _integer_choices(graph, data.part("train", config.quantization.samples)[0], config)
    accuracy_fixed = None
    if refusal is None:
        network.fold(quantize(replace(graph, quantization=Quantization.from_json(chosen))))
        accuracy_fixed = accuracy(evaluate(network, x_test, IN_INTEGERS)[0], y_test)
    return {
        **accuracies,
        "snapping": snapping,
        "quantization": chosen,
        "quantization_refused": refusal,
        "test_accuracy_fixed": accuracy_fixed,
    }


def names_of(data: Data) -> list[str] | None:
    """Return the classes' names as a summary holds them; None if the data have none."""
    return None if data.class_names is None else list(data.class_names)


def versions() -> dict[str, str]:
    """Return the versions of what computed these figures."""
    own = {"asnn-deploy": __version__, "python": platform.python_version()}
    return own | {package: version(package) for package in PACKAGES}


def accuracy(predictions: Array, labels: Array) -> float:
    """Return the share of right answers, both `[N]`."""
    return float(np.mean(predictions == labels))


def _snap(network: SpikingNetwork, graph: DeployGraph, images: Array, labels: Array) -> dict[str, Any]:
    """Fold the network, and return what its snapped weights change."""
    trained, spikes, before = evaluate(network, images, AS_TRAINED)
    network.fold(graph)
    snapped, _, after = evaluate(network, images, SNAPPED)
    return {
        "samples": len(images),
        "spikes": spikes,
        "spikes_changed": sum(int(np.unpackbits(np.bitwise_xor(before[k], after[k])).sum()) for k in before),
        "accuracy_as_trained": accuracy(trained, labels),
        "accuracy_snapped": accuracy(snapped, labels),
    }


def _settings(config: RunConfig) -> dict[str, Any]:
    """What of the configuration stands in the summary."""
    return {
        "epochs": config.training.epochs,
        "time_steps": config.time_steps,
        "seed": config.training.seed,
        "preset": config.preset,
        "coding": config.coding,
        "neuron": config.model.neuron,
    }


def _integer_choices(graph: DeployGraph, images: Array, config: RunConfig) -> tuple[dict[str, Any], str | None]:
    """The integer version's choices; none, and why, where the network has no integer version."""
    wanted = config.quantization
    if wanted.bits is not None:  # what was trained is on its integers already, and each channel uses the largest
        return Quantization(wanted.bits).to_json(), None
    try:
        return calibrate(graph, images, DEFAULT_BITS, wanted.scales).quantization.to_json(), None
    except GraphError as error:
        return {}, str(error)
