"""Reports for tests: a small network's counts with every section, the rarer ones made up."""

from __future__ import annotations

import json

import numpy as np
from markdown_it import MarkdownIt
from networks.lenet import small_lenet
from networks.making import random_inputs

from asnn_deploy.energy import Breakdown, Counter, Energy, JouleRange, load_profiles
from asnn_deploy.energy.simulation import Simulation
from asnn_deploy.engine.runner import run
from asnn_deploy.fitting import load_chip, place
from asnn_deploy.fitting.activity import activity
from asnn_deploy.fitting.latency import latency, no_latency
from asnn_deploy.ir.trace import Record
from asnn_deploy.reporting import Example, build
from asnn_deploy.reporting.figures import PlacedFit
from asnn_deploy.verifying.document import Verification

EVERYTHING = Record(spikes=True, step_logits=True)
ODD_NAMES = (
    *("a|b", "*a* **b**", "_a_ __init__ b_", "`a`", "<b>a</b> <a@b.c>", "[a](b) ![a](b)", "~~a~~", "&amp; a", "# a #"),
    *(r"a\|b\*c\_", "a\\", "a > b"),
)
"""Names that Markdown would read as markup."""


def report_of(graph, labels=True, profiles=None, samples=6, **sections):
    """A report on random images; a third of the labels is wrong."""
    images = random_inputs(graph, samples)
    trace = run(graph, images, EVERYTHING)
    right = np.where(np.arange(samples) % 3, trace.predictions, (trace.predictions + 1) % graph.classes)
    counter = Counter(graph)
    counter.add(images, trace, right if labels else None)
    return build(graph, counter.result(), load_profiles() if profiles is None else profiles, **sections)


def changed(model, **values):
    """A copy of a report or a part of it with other values."""
    return model.model_copy(update=values)


def renamed(document, names, name):
    """A document in which each of `names` is another name, wherever it stands."""
    text = json.dumps(document.to_json())
    for old in names:
        text = text.replace(old, json.dumps(name)[1:-1])
    return type(document).model_validate_json(text)


def seen(text):
    """A Markdown page as HTML."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)


def example_of(graph, labels=True):
    """The second of three random images."""
    images = random_inputs(graph, 3)
    trace = run(graph, images, EVERYTHING)
    return Example.of(graph, images, trace, 1, trace.predictions + 1 if labels else None)


def full_report(cores=40, **graph):
    """Every section that a page can have."""
    graph = small_lenet(**graph)
    plain = report_of(graph)
    return report_of(
        graph,
        data="digits",
        network="digits-lenet",
        samples_sha256="ab" * 32,
        early_exit=early_exit(plain),
        simulated=[simulated()],
        fit={"loihi1": fit(plain, cores), "loihi2": fit(plain, 3, fits=False)},
        latency={"loihi1": latency_of(graph), "loihi2": no_latency(load_chip("loihi2"))},
        quantization=quantization(plain),
        verify=verified(plain),
    )


def latency_of(graph, samples=2):
    """The latency of random images on Loihi 1."""
    images = random_inputs(graph, samples)
    placement = place(graph, load_chip("loihi1"))
    return latency(placement, activity(graph, placement, images, run(graph, images, EVERYTHING)))


def early_exit(report):
    steps, curve = report.time_steps, []
    for margin, mean_steps in ((0.0, 1.0), (0.5, 1 + steps / 3), (1.01, float(steps))):
        share = mean_steps / steps
        curve.append(
            {
                "margin": margin,
                "calibration_accuracy": 0.5 + 0.4 * share,
                "accuracy": 0.5 + 0.3 * share,
                "mean_steps": mean_steps,
                "sops": report.totals.sops * share,
                "energy_joules": {n: p.energy_joules.mid * share for n, p in report.profiles.items()},
                "exits": [1 / steps] * steps,
            }
        )
    return {
        "meaning": "A sample's answer is taken once its margin is reached",
        "calibration": {"split": "train", "samples": 500, "accuracy": 0.9},
        "curve": curve,
        "chosen": {"margin": 0.5, "tolerance": 0.005},
    }


def simulated():
    """A simulation of two samples of twice the energy of a constant-based figure of 1 uJ."""
    parts = {"synapses": 1.5e-6, "neurons": 0.5e-6, "spikes": 0.0, "memory": 0.0, "static": 0.0}
    both = {part: np.full(2, amount) for part, amount in parts.items()}
    found = Simulation(
        *("loihi1-sanafe", "A simulation", "14 nm", "made up", ("The host",), ()),
        parts=both,
        alone=np.zeros(2),
        latency=np.full(2, 1.5e-3),
        events=np.full(2, 100),
        cores=40,
        connections=1000,
        steps=7,
    )
    base = Energy(JouleRange(1e-6, 1e-6, 1e-6), Breakdown(1e-6, 0, 0, 0, 0), None, "simulated", "made up")
    return found, "loihi1-davies-2018", base


def fit(report, cores, fits=True, names=None):
    names = names or [layer.name for layer in report.neuronal]
    owners = [names[i * len(names) // cores] for i in range(cores)]
    binding = {"layer": names[0], "constraint": "neurons per core", "value": 900, "limit": 1024}
    sizes = {"difference_bytes": 40, "per_step_bytes": 140, "static_bytes": 100}
    tables = sizes | {"cores": cores, "static_cores": cores, "changes_cores": False, "layers": []}
    zero = dict.fromkeys(("parameter_bytes", "state_bytes", "axons_in", "axons_out"), 0)
    found = {
        "chip": "loihi1",
        "fits": fits,
        "cores": cores,
        "chips": -(-cores // 128),
        "chips_allowed": 1,
        "cores_per_chip": 128,
        "weight_bits": 8,
        "binding": binding,
        "next_binding": binding | {"constraint": "synaptic memory"},
        "suggestion": None if fits else "fewer channels",
        "features": {"fits": fits, "missing": [] if fits else [binding | {"constraint": "per-step parameters"}]},
        "capacity": {"fits": True, "binding": binding},
        "layers": [
            {"name": n, "kind": "neuron", "cores": owners.count(n), "neurons": 9, "synapse_bytes": 64}
            | zero
            | {"constraint": "neurons per core"}
            for n in names
        ],
        "system": None,
        "utilisation": {"cores": cores / 128},
        "unverified": ["memory per core"],
        "notes": [],
        "step_tables": tables,
        "map": [
            {
                "core": i,
                "chip": i // 128,
                "layer": n,
                "neurons": 900,
                "synapse_bytes": 64,
                "utilisation": 0.5 + 0.4 * (i % 2),
            }
            for i, n in enumerate(owners)
        ],
    }
    return PlacedFit.model_validate(found, strict=False)


def quantization(report):
    layers = []
    for layer in report.layers:
        if layer.kind == "neuron":
            figures = {"membrane_bits": 20, "product_bits": 28, "spike_disagreement": [0.01] * report.time_steps}
        else:
            figures = {"bits": 8, "weights": 100, "saturated": 2, "accumulator_bits": 14}
        layers.append({"name": layer.name, "kind": layer.kind, **figures})
    return {
        "samples": 6,
        "time_steps": report.time_steps,
        "bits": 8,
        "accuracy": 0.5,
        "accuracy_float": 0.6,
        "spike_disagreement": 0.01,
        "registers": {"membrane_bits": 24, "accumulator_bits": 32},
        "layers": layers,
    }


def verified(report):
    def target(against, wrong):
        layers = [
            {
                "name": n.name,
                "per_step_mismatches": [wrong] * report.time_steps,
                "per_step_spikes": [9] * report.time_steps,
            }
            for n in report.neuronal
        ]
        first = {"layer": "lif1", "step": 0, "sample": 0, "index": [0], "expected": 0.0, "got": 1.0}
        return {
            "against": against,
            "exact": not wrong,
            "spikes_compared": 1000,
            "argmax_mismatches": 0,
            "spike_mismatches": wrong * len(report.neuronal),
            "max_abs_logit_diff": 0.0,
            "accuracy": 0.5,
            "first_divergence": first if wrong else None,
            "layers": layers,
        }

    targets = {"lava": target("reference", 0), "reference-fixed": target("reference", 3)}
    found = {"samples": 6, "time_steps": report.time_steps, "targets": targets}
    return Verification.model_validate(found, strict=False)
