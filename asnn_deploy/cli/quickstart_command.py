"""`asnn-deploy quickstart`: the whole way once, on scikit-learn's digits."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import Output, say, write_json

if TYPE_CHECKING:
    from asnn_deploy.deploy.source import Source
    from asnn_deploy.fitting.document import FitDocument
    from asnn_deploy.reporting.figures import Report
    from asnn_deploy.verifying.document import Verification

PRESET = "digits-lenet"
SUMMARY = "summary.json"
MARKER = ".asnn-deploy-quickstart"
"""Written first, so that an interrupted quickstart can be started again."""
PARTS = ("run", "network.nir", "network.onnx", "lava", "report", "verify.json", "fit.json", SUMMARY)
CHIP = "loihi2"
WEIGHTS = {"train": 5.0, "export": 1.0, "verify": 4.0, "report": 2.0, "fit": 0.1}
"""How many epochs each step takes about as long as; of the training, what follows its own epochs."""


@click.command(epilog="Example: asnn-deploy quickstart --out demo")
@click.option("--out", type=Output(), default=Path("asnn-quickstart"), show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), help="Fewer epochs, for a quick look.")
@click.option("--limit", type=click.IntRange(min=1), help="Verify and count on N test samples only.")
def command(out: Path, epochs: int | None, limit: int | None) -> int:
    """Go the whole way once, on digits, without a download.

    Train, export to three formats, run and verify on seven targets, report, and fit onto a chip.
    """
    from asnn_deploy.deploy.bundle import claimed_folder

    with claimed_folder(out, MARKER):
        return whole_way(out, epochs, limit)


def whole_way(out: Path, epochs: int | None, limit: int | None) -> int:
    """All of it, in a folder that nobody else writes to; the exit code."""
    from asnn_deploy.api.placing import fit
    from asnn_deploy.deploy.source import open_source
    from asnn_deploy.training.presets import preset
    from asnn_deploy.util.files import write_text
    from asnn_deploy.util.progress import plan

    write_text(out / MARKER, "made by asnn-deploy quickstart\n")
    for part in PARTS:
        shutil.rmtree(out / part, ignore_errors=True)
        (out / part).unlink(missing_ok=True)
    start = time.perf_counter()
    trained = epochs or preset(PRESET)["training"]["epochs"]
    with plan(WEIGHTS | {"train": WEIGHTS["train"] + trained}):
        run = step("train", lambda: train(out / "run", epochs))
        source = open_source(out / "run")
        with source.deployment:
            step("export", lambda: export_all(source, out))
            verified = step("verify", lambda: verify(source, out, limit))
            report = step("report", lambda: count(source, out, limit))
            fitted = step("fit", lambda: fit(source, CHIP)).document()
    write_json(out / "fit.json", fitted.to_json())
    seconds = time.perf_counter() - start
    write_json(out / SUMMARY, summary(run, verified, report, fitted, seconds))
    show(verified, report, fitted)
    say(f"{seconds:.0f} s; look at {out / 'report' / 'report.html'}")
    return 0 if verified.holds else 1


def show(verified: Verification, report: Report, fitted: FitDocument) -> None:
    """Print what was found."""
    from asnn_deploy.cli.common import number
    from asnn_deploy.cli.verify_command import print_table
    from asnn_deploy.reporting.times import in_short

    say()
    print_table(verified)
    totals = report.totals
    say(f"{totals.sops:,.0f} synaptic operations and {totals.spikes:,.0f} spikes per sample")
    for sentence in in_short(report):
        say(sentence)
    say(f"{fitted.chip}: {number(fitted.cores, 'core')}, {'fits' if fitted.fits else 'does not fit'}")


def step(name: str, work: Any) -> Any:
    """Do one step and say how long it took."""
    from asnn_deploy.util.progress import phase

    start = time.perf_counter()
    with phase(name):
        result = work()
    say(f"{name:8s} {time.perf_counter() - start:6.1f} s")
    return result


def train(folder: Path, epochs: int | None) -> Mapping[str, Any]:
    """Train the digits network."""
    from asnn_deploy.api.training import train

    return train(PRESET, folder, settings=None if epochs is None else {"training.epochs": epochs}).summary


def export_all(source: Source, out: Path) -> None:
    """To one .nir file, one .onnx file, and a Lava bundle."""
    from asnn_deploy.api.exporting import export

    for target, name in (("nir", "network.nir"), ("onnx", "network.onnx"), ("lava", "lava")):
        export(source, target, out / name)


def verify(source: Source, out: Path, limit: int | None) -> Verification:
    """All targets that are available, against what they are held to."""
    from asnn_deploy.api.checking import verify

    found = verify(source, limit=limit)
    for name, reason in found.left_out.items():
        click.echo(f"note: target {name!r} left out: {reason}", err=True)
    write_json(out / "verify.json", found.to_json())
    return found


def count(source: Source, out: Path, limit: int | None) -> Report:
    """The report."""
    from asnn_deploy.api.counting import report

    return report(source, None, out / "report", limit=limit)


def summary(
    run: Mapping[str, Any], verified: Verification, report: Report, fitted: FitDocument, seconds: float
) -> dict[str, Any]:
    """DIR/summary.json."""
    targets = ("against", "exact", "spikes_compared", "spike_mismatches", "argmax_mismatches", "accuracy")
    chip = fitted.to_json()
    return {
        "seconds": seconds,
        "test_accuracy": run["test_accuracy"],
        "samples": verified.samples,
        "time_steps": verified.time_steps,
        "targets": {name: {key: getattr(found, key) for key in targets} for name, found in verified.targets.items()},
        "totals": report.totals.to_json(),
        "fit": {key: chip[key] for key in ("chip", "fits", "cores", "chips", "binding")},
        "files": list(PARTS),
        "versions": run["versions"],
    }
