"""`asnn-deploy export`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asnn_deploy.cli.common import Output, data_option, json_option, say, source_argument
from asnn_deploy.cli.completion import names
from asnn_deploy.cli.reading import opened_source, reading_options

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Reading

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
    shell_complete=names("exporter"),
    required=True,
    metavar="nir|onnx|lava",
    help="Format to write.",
)
@click.option("--out", required=True, type=Output(), help="A .nir or .onnx file, or a bundle folder.")
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
    target: str,
    out: Path,
    bits: int | None,
    nir_dialect: str | None,
    reader: str | None,
    data_spec: str | None,
    settings: tuple[str, ...],
    json_file: Path | None,
    reading: Reading,
) -> None:
    """Write a network as NIR, as ONNX, or as a bundle for Lava.

    --out names one file if it ends in .nir or .onnx, else a bundle: a folder with everything the network needs.
    """
    from asnn_deploy.api.exporting import export
    from asnn_deploy.cli.common import data_for, naming, write_json
    from asnn_deploy.quantizing import check_bits

    chosen = chosen_settings(target, settings, nir_dialect, reader)
    if bits is not None:
        with naming("--bits"):
            check_bits(bits)
    opened = opened_source(source, reading)
    with opened.deployment:
        new_bits = bits not in (None, opened.graph.quantization.bits)
        data = partial(data_for, opened, data_spec) if data_spec is not None or new_bits else None
        written = export(opened, target, out, bits=bits, data=data, settings=chosen)
    say(f"{out}: written")
    write_json(json_file, {"path": str(out), "format": target, "time_steps": written.time_steps})


def chosen_settings(name: str, settings: tuple[str, ...], dialect: str | None, reader: str | None) -> dict[str, str]:
    """`--set`, `--nir-dialect` and `--for` as settings of an exporter. Raises InputError with the nearest name."""
    from asnn_deploy.cli.common import naming, parse_settings
    from asnn_deploy.deploy.registry import EXPORTERS
    from asnn_deploy.errors import InputError

    exporter = EXPORTERS.available(name)
    given = {key: (f"--set {key}", value) for key, value in parse_settings(settings).items()}
    if dialect is not None and ("dialect" in exporter.settings or dialect != DIALECT):
        if "dialect" not in exporter.settings:
            raise InputError(f"--nir-dialect {dialect}: exporter {name!r} writes no NIR dialects; use --target nir")
        given["dialect"] = ("--nir-dialect", dialect)
    if reader is not None:
        given["for"] = ("--for", reader)
    for key, (flag, value) in given.items():
        with naming(flag):
            exporter.check_setting(key, value)
    chosen = {key: value for key, (_, value) in given.items()}
    if reader is not None and chosen.get("dialect") != PORTABLE:
        raise InputError(
            f"--for {reader}: only the dialect {PORTABLE} is written for a tool; add --nir-dialect {PORTABLE}"
        )
    return chosen
