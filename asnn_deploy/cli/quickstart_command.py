"""`asnn-deploy quickstart`: the whole way once, on scikit-learn's digits."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from asnn_deploy.deploy.source import Source
    from asnn_deploy.reporting.figures import Report
    from asnn_deploy.util.arrays import Array

PRESET = "digits-lenet"
SUMMARY = "summary.json"
MARKER = ".asnn-deploy-quickstart"
"""Written first, so that an interrupted quickstart can be started again."""
PARTS = ("run", "network.nir", "network.onnx", "lava", "report", "verify.json", "fit.json", SUMMARY)
CHIP = "loihi2"


@click.command(epilog="Example: asnn-deploy quickstart --out demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("asnn-quickstart"), show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), help="Fewer epochs, for a quick look.")
@click.option("--limit", type=click.IntRange(min=1), help="Verify and count on N test samples only.")
def command(out: Path, epochs: int | None, limit: int | None) -> int:
    """Train, export to three formats, run and verify on seven targets, report, fit: on digits, without a download."""
    from asnn_deploy.deploy.bundle import claimed_folder

    with claimed_folder(out, MARKER):
        return whole_way(out, epochs, limit)


def whole_way(out: Path, epochs: int | None, limit: int | None) -> int:
    """All of it, in a folder that nobody else writes to; the exit code."""
    from asnn_deploy.cli.common import number
    from asnn_deploy.cli.verify_command import broken, print_table
    from asnn_deploy.reporting.times import in_short
    from asnn_deploy.util.files import write_text

    write_text(out / MARKER, "made by asnn-deploy quickstart\n")
    for part in PARTS:
        shutil.rmtree(out / part, ignore_errors=True)
        (out / part).unlink(missing_ok=True)
    start = time.perf_counter()
    run = step("train", lambda: train(out / "run", epochs))
    source, images, labels = opened(out / "run", limit)
    with source.deployment:
        step("export", lambda: export_all(source, out))
        pairs, verified = step("verify", lambda: verify(source, out, images, labels))
        report = step("report", lambda: write_report(source, out, images, labels))
        fitted = step("fit", lambda: write_fit(source, out))
    seconds = time.perf_counter() - start
    summarise(out, run, verified, report, fitted, seconds)
    click.echo()
    print_table(verified)
    totals = report.totals
    click.echo(f"{totals.sops:,.0f} synaptic operations and {totals.spikes:,.0f} spikes per sample")
    for sentence in in_short(report):
        click.echo(sentence)
    click.echo(f"{fitted['chip']}: {number(fitted['cores'], 'core')}, {'fits' if fitted['fits'] else 'does not fit'}")
    click.echo(f"{seconds:.0f} s; look at {out / 'report' / 'report.html'}")
    return broken(pairs, verified)


def step(name: str, work: Any) -> Any:
    """Do one step and say how long it took."""
    start = time.perf_counter()
    result = work()
    click.echo(f"{name:8s} {time.perf_counter() - start:6.1f} s")
    return result


def train(folder: Path, epochs: int | None) -> dict[str, Any]:
    """Train the digits network."""
    from asnn_deploy.input.data import load_data
    from asnn_deploy.training.config import make_config, merge
    from asnn_deploy.training.presets import preset
    from asnn_deploy.training.train import train

    changes = {} if epochs is None else {"training.epochs": epochs}
    config = make_config(merge(preset(PRESET), changes), f"preset {PRESET}")
    return train(config, load_data(config.data), folder)


def opened(run: Path, limit: int | None) -> tuple[Source, Array, Array]:
    """The trained network and its test samples."""
    from asnn_deploy.cli.common import load_samples
    from asnn_deploy.deploy.source import open_source

    source = open_source(run)
    images, labels, _ = load_samples(source, None, "test", limit)
    return source, images, labels


def export_all(source: Source, out: Path) -> None:
    """To one .nir file, one .onnx file, and a Lava bundle."""
    from asnn_deploy.cli.export_command import export

    export(source, "nir", out / "network.nir", None, None)
    export(source, "onnx", out / "network.onnx", None, None)
    export(source, "lava", out / "lava", None, None)


def verify(source: Source, out: Path, images: Array, labels: Array) -> tuple[Any, dict[str, Any]]:
    """All targets that are available, against what they are held to."""
    from asnn_deploy.cli.common import DEFAULT_BATCH, write_json
    from asnn_deploy.cli.verify_command import choose, verification

    pairs = choose(source, ())
    result = verification(source, pairs, images, labels, DEFAULT_BATCH)
    write_json(out / "verify.json", result)
    return pairs, result


def write_report(source: Source, out: Path, images: Array, labels: Array) -> Report:
    """The energy report."""
    from asnn_deploy.cli.report_command import make_report

    return make_report(source, images, labels, str(source.data), out / "report")


def write_fit(source: Source, out: Path) -> dict[str, Any]:
    """Whether the network fits on a chip."""
    from asnn_deploy.cli.common import write_json
    from asnn_deploy.cli.fit_command import make_fit
    from asnn_deploy.fitting import load_chip

    result = make_fit(source.deployment, load_chip(CHIP)).to_json()
    write_json(out / "fit.json", result)
    return result


def summarise(
    out: Path,
    run: dict[str, Any],
    verified: dict[str, Any],
    report: Report,
    fitted: dict[str, Any],
    seconds: float,
) -> None:
    """DIR/summary.json."""
    from asnn_deploy.cli.common import write_json

    keys = ("against", "exact", "spikes_compared", "spike_mismatches", "argmax_mismatches", "accuracy")
    write_json(
        out / SUMMARY,
        {
            "seconds": seconds,
            "test_accuracy": run["test_accuracy"],
            "samples": verified["samples"],
            "time_steps": verified["time_steps"],
            "targets": {name: {k: target[k] for k in keys} for name, target in verified["targets"].items()},
            "totals": report.totals.to_json(),
            "fit": {key: fitted[key] for key in ("chip", "fits", "cores", "chips", "binding")},
            "files": list(PARTS),
            "versions": run["versions"],
        },
    )
