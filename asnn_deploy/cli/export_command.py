"""`asnn-deploy export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import CALIBRATION_SAMPLES, data_option, json_option, source_argument
from asnn_deploy.cli.completion import names
from asnn_deploy.cli.reading import opened_source, reading_options, settle_without_data

if TYPE_CHECKING:
    from asnn_deploy.deploy.exporters import Exporter
    from asnn_deploy.deploy.reading import Reading
    from asnn_deploy.deploy.source import Source
    from asnn_deploy.ir.graph import DeployGraph

PORTABLE = "portable"
"""The dialect that holds networks for any number of steps."""
READERS = ("norse", "rockpool", "sinabs", "snntorch", "spikingjelly")
"""Held to the files in `asnn_deploy/conventions/` by a test, so that --help need not read them."""
DIALECT = "canonical"
"""Asking other formats for it changes nothing: their bundles hold the network in it."""


@click.command(epilog="Example: asnn-deploy export run --target lava --out run.lava")
@source_argument
@reading_options
@click.option(
    "--target",
    "exporter",
    shell_complete=names("exporter"),
    required=True,
    metavar="nir|onnx|lava",
    help="Format to write.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A .nir or .onnx file, or a bundle folder.")
@click.option("--bits", type=int, help="Weight bits of the integer version, 2 to 8.")
@click.option("--nir-dialect", metavar="canonical|extended|compact|portable", help="The same as --set dialect=...")
@click.option(
    "--for", "reader", metavar="TOOL", help=f"The tool that is to read a portable NIR file: {', '.join(READERS)}."
)
@data_option
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the format; nir: dialect=canonical (default), extended, compact or portable (docs/nir.md); "
    "lava: processes=fused (default) or stock, Lava's own neurons for static networks.",
)
@json_option
def command(
    source: Path,
    exporter: str,
    out: Path,
    bits: int | None,
    nir_dialect: str | None,
    reader: str | None,
    data_spec: str | None,
    settings: tuple[str, ...],
    json_file: Path | None,
    reading: Reading,
) -> None:
    """Export a network: to one file (PATH ends in .nir or .onnx) or to a bundle with everything it needs."""
    from asnn_deploy.cli.common import write_json
    from asnn_deploy.errors import InputError

    options = chosen_settings(exporter, settings, nir_dialect, reader)
    with_source = opened_source(source, reading)
    with with_source.deployment:
        if options.get("dialect") != PORTABLE or reading.snapped:
            settle(with_source, data_spec)
        elif bits is not None or data_spec is not None:
            raise InputError("--nir-dialect portable: holds neither weight bits nor data; leave out --bits and --data")
        export(with_source, exporter, out, bits, data_spec, **options)
    click.echo(f"{out}: written")
    write_json(json_file, {"path": str(out), "format": exporter, "time_steps": with_source.graph.code.time_steps})


def settle(source: Source, data_spec: str | None) -> None:
    """Settle what enters a network of another tool by the data, or by what was said without them."""
    from asnn_deploy.cli.common import load_unlabelled
    from asnn_deploy.deploy.reading import is_settled

    if is_settled(source.graph):
        return
    if data_spec is not None:
        load_unlabelled(source, data_spec, "test", None)
    else:
        settle_without_data(source)


def chosen_settings(
    name: str, settings: tuple[str, ...], dialect: str | None, reader: str | None = None
) -> dict[str, str]:
    """`--set`, `--nir-dialect` and `--for` as options of an exporter. Raises InputError with the nearest name."""
    from asnn_deploy.cli.common import parse_settings
    from asnn_deploy.deploy.registry import EXPORTERS
    from asnn_deploy.errors import InputError
    from asnn_deploy.util.suggest import unknown_name

    known = EXPORTERS.available(name).settings
    given = {f"--set {key}": (key, value) for key, value in parse_settings(settings).items()}
    if dialect is not None and ("dialect" in known or dialect != DIALECT):
        if "dialect" not in known:
            raise InputError(f"--nir-dialect {dialect}: exporter {name!r} writes no NIR dialects; use --target nir")
        given["--nir-dialect"] = ("dialect", dialect)
    if reader is not None:
        given["--for"] = ("for", reader)
    options = {key: values[0] for key, values in known.items()}
    for flag, (key, value) in given.items():
        if key not in known:
            raise InputError(f"{flag}: {unknown_name(f'setting of exporter {name!r}', key, known)}")
        if value not in known[key]:
            raise InputError(f"{flag}: {unknown_name('value', str(value), known[key])}")
        options[key] = value
    if "--for" in given and options.get("dialect") != PORTABLE:
        raise InputError(
            f"--for {reader}: only the dialect {PORTABLE} is written for a tool; add --nir-dialect {PORTABLE}"
        )
    return options


def export(source: Source, name: str, out: Path, bits: int | None, data_spec: str | None, **options: Any) -> None:
    """Write one file, if `out` ends as a format's files do, or a bundle."""
    from asnn_deploy.cli.common import load, naming
    from asnn_deploy.deploy.bundle import write_bundle, write_file
    from asnn_deploy.deploy.registry import EXPORTERS
    from asnn_deploy.errors import InputError
    from asnn_deploy.input.choices import inheriting

    exporter = EXPORTERS.available(name)
    alone = is_file(exporter, out)
    if alone and bits is not None and not exporter.carries_bits:
        raise InputError(f"--bits {bits}: a {exporter.suffix} file holds the float network only; export a bundle")
    if alone and source.graph.meaning is not None and is_unchanged(source, options):
        exporter.restate(source.path, out, source.graph.meaning)
        return
    graph = quantized(source, bits, data_spec)
    options["tell"] = lambda note: click.echo(f"note: {note}", err=True)
    if alone:
        write_file(graph, exporter, out, **options)
        return
    if data_spec is not None:  # what a bundle remembers must be readable
        data_spec = inheriting(data_spec, source.data)
        with naming(f"--data {data_spec}"):
            source.called(load(data_spec, sequences=graph.code.kind != "image").class_names)
    kept = {key: source.summary[key] for key in ("test_accuracy", "snapping") if key in source.summary}
    kept |= {"class_names": source.class_names} if source.class_names else {}
    ours = graph is source.graph and graph.meaning is None  # another tool's network is kept in its own nodes
    network = source.deployment.file("nir") if ours else None
    write_bundle(graph, name, out, data_spec or source.data, kept, network, **options)


def is_unchanged(source: Source, options: Mapping[str, str]) -> bool:
    """Whether a file of another tool is to be written as it came: portable, for anyone, and its network as it is."""
    as_read = source.foreign is not None and not (
        source.reading.snapped or source.reading.coding or source.reading.round_delays
    )
    others = {key: value for key, value in options.items() if key != "dialect"}
    return as_read and options.get("dialect") == PORTABLE and others == {"for": "anyone"}


def is_file(exporter: Exporter, out: Path) -> bool:
    """Whether the exporter writes `out` as one file. Raises InputError if that is another's, or a folder."""
    from asnn_deploy.deploy.registry import EXPORTERS
    from asnn_deploy.errors import InputError

    if out.suffix and out.suffix == exporter.suffix:
        if out.is_dir():
            raise InputError(f"{out}: is a folder; choose another --out")
        return True
    if out.suffix in {EXPORTERS.find(name).suffix for name in EXPORTERS if not EXPORTERS.problem(name)}:
        raise InputError(f"--out {out}: exporter {exporter.name!r} does not write {out.suffix} files")
    return False


def quantized(source: Source, bits: int | None, data_spec: str | None) -> DeployGraph:
    """The graph with its integer version's choices: the source's own, or new ones for other bits, made on data."""
    from asnn_deploy.cli.common import load_unlabelled, naming
    from asnn_deploy.errors import DataError
    from asnn_deploy.quantizing import calibrate, check_bits

    graph = source.graph
    if bits is None:
        return graph
    with naming("--bits"):
        check_bits(bits)
    if bits == graph.quantization.bits:
        return graph
    if data_spec is None and source.data is None:
        raise DataError(f"--bits {bits}: clips are chosen on data, and {source.path} remembers none; give --data")
    images, _, _ = load_unlabelled(source, data_spec, "train", CALIBRATION_SAMPLES)
    return calibrate(graph, images, bits, graph.quantization.scales)
