"""Make docs/performance.md from the JSON files that the benchmarks wrote.

.venv/bin/python benchmarks/page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "performance.md"
GOALS = {"lava": 400, "lava-fixed": 1000}
"""Times the stock graph."""


def results(name: str) -> dict[str, Any]:
    """What one benchmark wrote."""
    found: dict[str, Any] = json.loads((HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def measured(found: dict[str, Any], name: str, arguments: str = "") -> str:
    """The command and what the figures depend on."""
    versions = ", ".join(f"{package} {number}" for package, number in found["versions"].items())
    command = f"`.venv/bin/python benchmarks/{name}.py{arguments}`"
    return f"{command}, commit {found['commit']}, {found['device']}; {versions}.\n"


def first_batch(runs: dict[str, Any], goal: float) -> str:
    """The smallest batch at which a Lava target is `goal` times as fast as the stock graph."""
    return next((size for size, run in runs["batch_sizes"].items() if run["ratio"] >= goal), "none")


def training() -> str:
    """Training steps against the reference's loop, the neurons alone, and memory over long T, on each device."""
    parts = [
        training_on(device) for device in ("cpu", "cuda") if (HERE / "results" / f"training-{device}.json").exists()
    ]
    if len(parts) == 1:
        parts.append("On a GPU none of this has been measured yet: the same commands with `--device cuda`.\n")
    return "## Training\n\n" + "\n".join(parts)


def training_on(device: str) -> str:
    """What was measured on one device."""
    found, alone, memory = (results(f"{name}-{device}") for name in ("training", "neurons", "memory"))
    option = "" if device == "cpu" else f" --device {device}"
    rows = "".join(
        f"| `{name}`, T = {network['time_steps']} | {network['batch_size']} | {network['precision']} | "
        f"{network['images_per_second']:.0f} | {network['reference_loop']:.0f} | **{network['ratio']:.2f}** |\n"
        for name, network in found["networks"].items()
    )
    shares = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in found["shares"].items())
    compiled = f" Through `torch.compile`: {found['times_compiled']:.2f} times." if "times_compiled" in found else ""
    names = {"norse": "Norse, step by step", "spikingjelly": "SpikingJelly, multi-step", "snntorch": "snnTorch"}
    neurons = "".join(
        f"| {names[name]} | {alone['milliseconds'][name]:.1f} | **{ratio:.2f}** |\n"
        for name, ratio in alone["times"].items()
    )
    steps, megabytes = memory["time_steps"], {key: value / 2**20 for key, value in memory["bytes"].items()}
    return (
        "Images per second of whole training steps on 32x32 images, and of the reference code's form, a loop of eager "
        "float32 torch modules over the steps, in turns in one process:\n\n"
        f"{measured(found, 'training', option + (' --compile' if compiled else ''))}\n"
        "| network | batch | precision | images/s | loop | ratio |\n|---|---|---|---|---|---|\n"
        f"{rows}\nA step of the LeNet spends its time on: {shares}.{compiled}\n\n"
        f"Neurons alone, [T, B, C, H, W] = {alone['shape']}, forward and backward, float32, in turns: "
        f"{alone['milliseconds']['fused']:.1f} ms with leak and gain learned for each step, "
        f"**{alone['of_the_bandwidth_limit']:.2f}** times the least that memory allows (input and spikes forward, "
        "input and two gradients backward, at the speed of a copy); others, with fixed ones:\n\n"
        f"{measured(alone, 'neurons', ' --others OTHER/bin/python' + option)}\n"
        f"| framework | ms | times this project's |\n|---|---|---|\n{neurons}\n"
        f"Memory that a training step adds: T = {steps['short']}: {megabytes['short']:.0f} MiB; T = {steps['long']}: "
        f"{megabytes['long']:.0f} MiB, {memory['times_short']:.1f} times; in segments of {steps['segment']} steps: "
        f"{megabytes['long_in_segments']:.0f} MiB, **{memory['times_short_in_segments']:.1f}** times.\n\n"
        f"{measured(memory, 'memory', option)}"
    )


def lava() -> str:
    """Lava against a graph of its stock Processes."""
    found = results("lava")
    rows = []
    for name in ("lava", "lava-fixed"):
        stock = found[name]["stock"]["samples_per_second"]
        rows.append(f"| `{name}` | stock Processes, batch 1 | {stock:.1f} | 1 |")
        rows += [
            f"| `{name}` | batch {size} | {run['samples_per_second']:.0f} | **{run['ratio']:.0f}** |"
            for size, run in found[name]["batch_sizes"].items()
        ]
    shares = " and ".join(
        f"`{name}` reaches {found[name]['share_of_reference']:.2f} of its reference executor's "
        f"{found[name]['reference']['samples_per_second']:.0f} samples/s on the same cores"
        for name in ("lava", "lava-fixed")
    )
    (few, least), (many, most) = list(found["lava-fixed"]["megabytes"].items())
    rates = ", ".join(f"{name} {100 * rate:.0f} %" for name, rate in found["firing_rates"].items())
    reached = ", ".join(
        f"`{name}` {GOALS[name]} times, reached from batch: {first_batch(found[name], GOALS[name])}" for name in GOALS
    )
    return (
        "## Lava\n\nSamples per second of the Lava targets, and as a multiple of a graph that computes the same with "
        "one of Lava's stock Processes per operation, both in one run, their logits checked equal. "
        f"Goals: {reached}. Firing rates: {rates}. At its "
        f"best batch, {shares}. All processes of a `lava-fixed` run together hold {least:.0f} MB (proportional set "
        f"sizes) for {few} samples and {most:.0f} MB for {many}.\n\n{measured(found, 'lava')}\n"
        "| target | form | samples/s | times stock |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def fixed() -> str:
    """The engine and the executors against torch, and how cost grows."""
    found = results("fixed")
    kernels, executors = found["kernels"], found["executors"]
    rows = [
        f"| {name} | {100 * row['events_per_input']:.0f} % | {row['engine']:.2f} | {row['engine_half']:.2f} "
        f"| {row['torch']:.2f} |"
        for name, row in kernels["milliseconds"].items()
    ]
    speeds = [
        f"| `{name}` | "
        + " | ".join(f"{rate:.0f}" for rate in by_batch.values())
        + f" | {executors['times_faster_than_torch'].get(name, 1):.2f} |"
        for name, by_batch in executors["samples_per_second"].items()
    ]
    batches = list(executors["samples_per_second"]["torch"])
    growth = [
        f"| {what} | " + ", ".join(f"{key}: {cost:.0f}" for key, cost in costs.items()) + " |"
        for what, costs in found["growth"].items()
    ]
    return (
        f"## Integer engine\n\n`{found['preset']}`, trained. All synapses of the integer network for "
        f"{kernels['batch']} samples and T = 7 steps, written out as currents, against torch's float32 "
        f"layers on the same inputs, one thread each: **{kernels['times_faster_than_torch']:.1f}** times as fast; "
        f"with a random half of the events {kernels['half_the_events_times_faster']:.2f} times as fast again. "
        "Milliseconds:\n\n"
        f"{measured(found, 'fixed', ' --run run')}\n"
        "| layer | inputs that fire | events | half of them | torch |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n"
        "Samples per second on all cores, by batch, and at the best batch as a multiple of the trained torch module in "
        f"eager mode:\n\n| | {' | '.join(batches)} | times torch |\n|---|{'---|' * len(batches)}---|\n"
        + "\n".join(speeds)
        + "\n\nMicroseconds of a sample in `reference-fixed` on one core, random networks of the reference LeNet's "
        "shape with one thing changed:\n\n| what | value: microseconds |\n|---|---|\n" + "\n".join(growth) + "\n"
    )


def onnx() -> str:
    """onnxruntime against eager torch."""
    found = results("onnx")
    rows = [
        f"| {batch} | {run['samples_per_second']['onnxruntime']:.0f} "
        f"| **{run['times_faster_than']['torch_step_by_step']:.1f}** "
        f"| {run['times_faster_than']['torch_layer_by_layer']:.1f} |"
        for batch, run in found["batches"].items()
    ]
    return (
        "## ONNX\n\nonnxruntime on the exported file against eager torch computing the same equations: step by step, "
        f"as the paper's reference code does, and layer by layer. {found['threads']} thread(s) each, predictions and "
        f"logits checked equal. The file loads in {1e3 * found['load_seconds']:.0f} ms.\n\n{measured(found, 'onnx')}\n"
        "| batch | onnxruntime, samples/s | times torch step by step | times torch layer by layer |\n"
        "|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def cli() -> str:
    """Start-up and memory."""
    found = results("cli")
    few, many = found["verify_megabytes"].values()
    return (
        f"## Command line\n\n`asnn-deploy --help` takes {found['help_seconds']:.2f} s. `verify` of 10,000 digits-sized "
        f"samples peaks at {many:.0f} MB, of 1,000 at {few:.0f} MB: a ratio of {found['memory_ratio']:.2f}.\n\n"
        f"{measured(found, 'cli')}"
    )


def counting() -> str:
    """What counting adds to a run."""
    found = results("counting")
    speed = found["samples_per_second"]
    few, many = found["peak_megabytes"].items()
    return (
        "## Counting\n\nThe trained `fashion-lenet` on the reference executor, all cores: "
        f"{speed['plain']:.0f} samples/s plain, {speed['observed']:.0f} while every spike and operation is counted: "
        f"counting adds **{100 * found['observed_adds']:.0f} %**. Counting from recorded spikes, as for any other "
        f"target, run included: {speed['from_spikes']:.0f} samples/s. A process that counts {few[0]} samples peaks at "
        f"{few[1]:.0f} MB, with {many[0]} at {many[1]:.0f} MB, torch included.\n\n"
        f"{measured(found, 'counting', ' --run run')}"
    )


def fit() -> str:
    """How long placement on chips takes."""
    found = results("fit")
    rows = [
        f"| {name} | `{chip}` | {row['place_seconds']:.2f} | {row['fit_seconds']:.2f} | {row['cores']:,} |"
        for name, chips in found["networks"].items()
        for chip, row in chips.items()
    ]
    return (
        "## Fit\n\nSeconds to place a network with 8-bit weights on cores, and for all that `fit --json` writes: "
        "what per-step parameters cost, and the search for a change with which it would fit.\n\n"
        f"{measured(found, 'fit')}\n| network | chip | placement, s | in all, s | cores |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def formats() -> str:
    """SEW-ResNet and Spikformer through every format."""
    found = results("formats")
    networks = {name: part for name, part in found.items() if isinstance(part, dict) and "targets" in part}
    targets = list(dict.fromkeys(target for part in networks.values() for target in part["targets"]))
    rows = []
    for name, part in networks.items():
        cells = [
            f"{part['targets'][target]['spike_mismatches']:,}" if target in part["targets"] else "-"
            for target in targets
        ]
        compared = max(row["spikes_compared"] for row in part["targets"].values())
        rows.append(f"| `{name}` | {part['samples']} | {compared:,} | {' | '.join(cells)} |")
    trained = {name: part for name, part in networks.items() if "samples_per_second" in part}
    speeds = [
        f"| `{name}` | {100 * part['test_accuracy']:.2f} % in {part['train_seconds']:.0f} s "
        f"| {part['samples_per_second']['reference-fixed']:.0f} | {part['samples_per_second']['lava-fixed']:.0f} "
        f"| **{part['samples_per_second']['ratio']:.2f}** |"
        for name, part in trained.items()
    ]
    files = [
        f"| `{name}` | {kind} | {cost['write_seconds']:.1f} | {cost['open_seconds']:.2f} "
        f"| {cost['peak_megabytes']:.0f} | {cost['file_megabytes']:.0f} | {4 * part['parameters'] / 1e6:.0f} |"
        for name, part in networks.items()
        for kind, cost in part.get("files", {}).items()
    ]
    return (
        "## The papers' networks\n\nSpikes that differ from the reference's, of all spikes of all layers and steps "
        "(`reference-fixed` against `reference` is quantisation: reported, not promised). The digits presets are "
        "trained; the CIFAR presets have the statistics of made-up pictures and no training.\n\n"
        f"{measured(found, 'formats')}\n"
        f"| network | samples | spikes compared | {' | '.join(f'`{t}`' for t in targets)} |\n|---|---|---|"
        f"{'---|' * len(targets)}\n" + "\n".join(rows) + "\n\n"
        f"Samples per second at batch {found['batch_size']}, both on all cores, in turns:\n\n"
        "| network | test accuracy, training | `reference-fixed` | `lava-fixed` | ratio |\n|---|---|---|---|---|\n"
        + "\n".join(speeds)
        + "\n\nFiles of the CIFAR presets, T = 4. Opened: by onnxruntime, and NIR read back, checked node by node. "
        "Peak: of the writing process, with torch and the making of the network.\n\n"
        "| network | format | written, s | opened, s | peak, MB | file, MB | weights, MB |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(files) + "\n"
    )


def engine_neurons() -> str:
    """Other neuron models in the engine, against LIF."""
    found = results("engine-neurons")
    forms, samples = found["forms"], f" --samples {found['batch']}"
    rows = [
        f"| {name} | " + " | ".join(f"**{form['times_lif'][name]:.2f}**" for form in forms.values()) + " |"
        for name in forms["float"]["times_lif"]
    ]
    return (
        "## Neurons in the engine\n\nHow many times as long as with LIF the network takes with other models' neurons, "
        f"at LIF's firing rate: random weights, batch {found['batch']}, one core, in turns. "
        f"LIF has its own kernel; all others are programs:\n\n{measured(found, 'engine_neurons', samples)}\n"
        f"| neurons | {' | '.join(forms)} |\n|---|{'---|' * len(forms)}\n" + "\n".join(rows) + "\n"
    )


def loading() -> str:
    """The loader against training."""
    found = results("loading")
    speed = found["images_per_second"]
    trained = "; ".join(f"`{name}` {rate:.0f}" for name, rate in speed["training"].items())
    return (
        "## Loading\n\nCIFAR-sized images with the reference code's whole augmentation: "
        f"{speed['loader']:.0f} images/s on one core, **{found['times_one_by_one']:.1f}** times torchvision's "
        f"transforms image by image. Training on the same core: {trained} images/s.\n\n{measured(found, 'loading')}"
    )


def main() -> None:
    """Write the page."""
    head = (
        "# Performance\n\nMade by `benchmarks/page.py` from the JSON files in `benchmarks/results/`. The network is "
        "the reference LeNet on 28x28 images, T = 7, unless something else is said. Absolute figures belong to the "
        "machine; ratios are of one run. At the commits e9ed6bc and fd6a7fb, `cifar-lenet` had a hidden layer of 1,024 "
        "and here 10 classes; it has the reference's 256 and 100 since.\n"
    )
    PAGE.write_text(
        "\n".join(
            [
                head,
                fixed(),
                engine_neurons(),
                training(),
                lava(),
                formats(),
                onnx(),
                counting(),
                fit(),
                loading(),
                cli(),
            ]
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
