"""`asnn-deploy report`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import DEFAULT_BATCH, data_option, limit_option, percent, source_argument

if TYPE_CHECKING:
    from asnn_deploy.report import Example
    from asnn_deploy.source import Source
    from asnn_deploy.step_table import Array

CHIPS = ("loihi1", "loihi2")
QUANTIZATION_SAMPLES = 256
"""The integer network is held against the float one on so many of the samples; whole traces are kept meanwhile."""
VERIFY_FILE = "verify.json"


@click.command(epilog="Example: asnn-deploy report run.lava --limit 200 --out report")
@source_argument
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the report.")
@data_option
@limit_option
@click.option("--profile", "profiles", multiple=True, metavar="NAME", help="Energy profile; default: all there are.")
@click.option(
    "--chip", "chips", multiple=True, metavar="NAME", help=f"Fit onto this chip; default: {' and '.join(CHIPS)}."
)
@click.option(
    "--verify",
    "verify_file",
    type=click.Path(path_type=Path),
    help=f"Show what `verify --json` wrote to FILE; default: SOURCE/{VERIFY_FILE}, if there.",
)
@click.option(
    "--sample", type=click.IntRange(min=0), default=0, show_default=True, help="The sample to show spike by spike."
)
def command(
    source: Path,
    out: Path,
    data_spec: str | None,
    limit: int | None,
    profiles: tuple[str, ...],
    chips: tuple[str, ...],
    verify_file: Path | None,
    sample: int,
) -> None:
    """Count every operation and spike, and say what they would cost: HTML, JSON and Markdown."""
    from asnn_deploy.bundle import claim_folder
    from asnn_deploy.cli.common import load_samples
    from asnn_deploy.energy import load_profiles
    from asnn_deploy.source import open_source

    load_profiles(profiles or None)
    claim_folder(out, "report.json")
    verified = read_verify(verify_file) if verify_file is not None else None
    opened = open_source(source)
    with opened.deployment:
        images, labels, spec = load_samples(opened, data_spec, "test", limit)
        check_sample(sample, len(images))
        report = make_report(opened, images, labels, spec, profiles, out, chips, verified, sample)
    totals = report["totals"]
    click.echo(
        f"{out / 'report.html'}: {percent(report['accuracy'])} accuracy, {totals['sops']:,.0f} synaptic operations "
        f"and {totals['spikes']:,.0f} spikes per sample ({report['samples']} samples)"
    )


def make_report(
    source: Source,
    images: Array,
    labels: Array,
    spec: str,
    profiles: tuple[str, ...],
    out: Path,
    chips: Sequence[str] = (),
    verified: Mapping[str, Any] | None = None,
    sample: int = 0,
) -> dict[str, Any]:
    """Run the reference, count, and write the three files; returns what report.json holds.

    chips: names to fit onto, those of `CHIPS` if there are none. verified: what `verify --json` writes; by default what
    SOURCE holds. sample: the one shown spike by spike.
    """
    from asnn_deploy.cli.common import batches
    from asnn_deploy.energy import Counter, load_profiles
    from asnn_deploy.plugins import available
    from asnn_deploy.report import build, write
    from asnn_deploy.trace import Record

    fits = fitted(source, chips)
    if verified is None and (source.path / VERIFY_FILE).is_file():
        verified = read_verify(source.path / VERIFY_FILE)
    counter = Counter(source.graph)
    record = Record(spikes=True, step_logits=True)
    with available("targets", "reference").open(source.deployment, DEFAULT_BATCH) as session:
        for cut in batches(len(images), DEFAULT_BATCH, "report"):
            counter.add(images[cut], session.run(images[cut], record), labels[cut])
    report: dict[str, Any] = build(
        source.graph,
        counter.result(),
        load_profiles(profiles or None),
        data=spec,
        network=source.path.name,
        fit=fits,
        quantization=quantized(source, images, labels),
        verify=verified,
    )
    write(report, out, example_of(source, images, labels, sample))
    return report


def example_of(source: Source, images: Array, labels: Array, sample: int) -> Example:
    """The reference's run of one sample, as the page draws it; it keeps its number."""
    from dataclasses import replace

    from asnn_deploy.plugins import available
    from asnn_deploy.report import Example
    from asnn_deploy.trace import Record

    one = slice(sample, sample + 1)
    with available("targets", "reference").open(source.deployment, 1) as session:
        trace = session.run(images[one], Record(spikes=True, step_logits=True))
    return replace(Example.of(source.graph, images[one], trace, 0, labels[one]), index=sample)


def fitted(source: Source, chips: Sequence[str]) -> dict[str, Any]:
    """The network on each chip, as `fit --json` has it."""
    from asnn_deploy.fit import fit, load_chip

    return {name: fit(source.graph, load_chip(name)).to_json() for name in dict.fromkeys(chips or CHIPS)}


def quantized(source: Source, images: Array, labels: Array) -> dict[str, Any] | None:
    """What quantisation does on some of the samples; None where the network has no integer version."""
    from asnn_deploy.errors import GraphError
    from asnn_deploy.quantize import quantization_report

    try:
        return quantization_report(source.graph, images[:QUANTIZATION_SAMPLES], labels[:QUANTIZATION_SAMPLES])
    except GraphError as error:
        click.echo(f"note: no integer version: {error}", err=True)
        return None


def check_sample(sample: int, count: int) -> None:
    """Raise InputError where there is no such sample."""
    from asnn_deploy.errors import InputError

    if sample >= count:
        raise InputError(f"--sample {sample}: there are {count} samples, numbered 0 to {count - 1}")


def read_verify(path: Path) -> dict[str, Any]:
    """What `verify --json` wrote. Raises InputError where the file is anything else."""
    from asnn_deploy.errors import InputError

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        _check_verify(found)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); give a file by verify --json") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise InputError(f"{path}: was not written by verify --json ({what}); run verify with --json FILE") from None
    return found  # type: ignore[no-any-return]


def _check_verify(found: Any) -> None:
    """Hold a file against the contract. Raises KeyError, TypeError, ValueError or AttributeError."""
    steps = found["time_steps"]
    _number(found["samples"], "samples")
    for name, target in found["targets"].items():
        if not isinstance(target["against"], str) or not isinstance(target["exact"], bool):
            raise ValueError(f"target {name}: against must be a text, exact true or false")
        for key in ("spikes_compared", "spike_mismatches", "argmax_mismatches", "max_abs_logit_diff"):
            _number(target[key], f"{name}.{key}")
        if target["accuracy"] is not None:
            _number(target["accuracy"], f"{name}.accuracy")
        if target["first_divergence"] is not None:
            _ = [target["first_divergence"][key] for key in ("layer", "step", "sample", "expected", "got")]
        for layer in target["layers"]:
            counts = layer["per_step_mismatches"]
            if not isinstance(layer["name"], str) or not isinstance(counts, list) or len(counts) != steps:
                raise ValueError(f"target {name}: a layer needs a name and {steps} mismatch counts")
            for count in counts:
                _number(count, f"{name}.{layer['name']}")


def _number(value: Any, key: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ValueError(f"{key} = {value!r} is no count")
