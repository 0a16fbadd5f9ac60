"""`asnn-deploy export`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import CALIBRATION_SAMPLES, data_option, source_argument

if TYPE_CHECKING:
    from asnn_deploy.deploy.source import Source

DIALECTS = ["canonical", "compact", "portable", "extended"]


@click.command(epilog="Example: asnn-deploy export run --target lava --out run.lava")
@source_argument
@click.option("--target", "exporter", required=True, metavar="nir|onnx|lava", help="Format to write.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A .nir or .onnx file, or a bundle folder.")
@click.option("--bits", type=int, help="Weight bits of the integer version, 2 to 8.")
@click.option("--nir-dialect", type=click.Choice(DIALECTS), default="canonical", show_default=True)
@data_option
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the format; lava: processes=fused (default) or stock, Lava's own neurons for static networks.",
)
def command(
    source: Path,
    exporter: str,
    out: Path,
    bits: int | None,
    nir_dialect: str,
    data_spec: str | None,
    settings: tuple[str, ...],
) -> None:
    """Export a network: to one file (PATH ends in .nir or .onnx) or to a bundle with everything it needs."""
    from asnn_deploy.deploy.source import open_source

    options = chosen_settings(exporter, settings)
    with_source = open_source(source)
    with with_source.deployment:
        export(with_source, exporter, out, bits, data_spec, dialect=nir_dialect, **options)
    click.echo(f"{out}: written")


def chosen_settings(name: str, settings: tuple[str, ...]) -> dict[str, str]:
    """`--set KEY=VALUE` as options of an exporter. Raises InputError with the nearest name."""
    from asnn_deploy.deploy.registry import available
    from asnn_deploy.errors import InputError
    from asnn_deploy.training.config import parse_settings
    from asnn_deploy.util.suggest import unknown_name

    known = getattr(available("exporters", name), "settings", {})
    options = {}
    for key, value in parse_settings(settings).items():
        if key not in known:
            raise InputError(f"--set {key}: {unknown_name(f'setting of exporter {name!r}', key, known)}")
        if value not in known[key]:
            raise InputError(f"--set {key}: {unknown_name('value', str(value), known[key])}")
        options[key] = value
    return options


def export(source: Source, name: str, out: Path, bits: int | None, data_spec: str | None, **options: Any) -> None:
    """Write one file or a bundle."""
    from asnn_deploy.deploy.bundle import write_bundle
    from asnn_deploy.deploy.registry import available
    from asnn_deploy.errors import InputError
    from asnn_deploy.input.data import load_data

    exporter = available("exporters", name)
    if options.get("dialect", DIALECTS[0]) != DIALECTS[0] and name != "nir":
        raise InputError(
            f"--nir-dialect {options['dialect']}: exporter {name!r} writes no NIR dialects; use --target nir"
        )
    if bits is not None and out.suffix == ".onnx":
        raise InputError(f"--bits {bits}: an .onnx file holds the float network only; export a bundle")
    graph = quantized(source, bits, data_spec)
    if out.suffix in (".nir", ".onnx"):
        if out.suffix != exporter.suffix:
            raise InputError(f"--out {out}: exporter {name!r} does not write {out.suffix} files")
        write_file(exporter, graph, out, **options)
    else:
        if data_spec is not None:
            load_data(data_spec)  # what a bundle remembers must be readable
        kept = {key: source.summary[key] for key in ("test_accuracy", "snapping") if key in source.summary}
        write_bundle(graph, name, out, data_spec or source.data, kept, **options)


def quantized(source: Source, bits: int | None, data_spec: str | None) -> Any:
    """The graph with its integer version's choices: the source's own, or new ones for other bits, made on data."""
    from asnn_deploy.cli.common import load_samples
    from asnn_deploy.errors import DataError
    from asnn_deploy.quantize import calibrate, check_bits

    graph = source.graph
    if bits is None or check_bits(bits) == graph.quantization.bits:
        return graph
    if data_spec is None and source.data is None:
        raise DataError(f"--bits {bits}: clips are chosen on data, and {source.path} remembers none; give --data")
    images, _, _ = load_samples(source, data_spec, "train", CALIBRATION_SAMPLES)
    return calibrate(graph, images, bits, graph.quantization.scales)


def write_file(exporter: Any, graph: Any, out: Path, **options: Any) -> None:
    """The format's main file, alone."""
    from asnn_deploy.errors import InputError
    from asnn_deploy.util.files import unwritable

    if out.is_dir():
        raise InputError(f"{out}: is a folder; choose another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            name = exporter.write(graph, Path(folder), **options)[0]
            os.replace(Path(folder) / name, out)
    except OSError as error:
        raise unwritable(out, error) from error
