"""`asnn-deploy compare`."""

from __future__ import annotations

from pathlib import Path

import click

from asnn_deploy.cli.common import Output, say


@click.command(epilog="Example: asnn-deploy compare report-hybrid report-direct --out comparison")
@click.argument("report_a", type=click.Path(path_type=Path))
@click.argument("report_b", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=Output(), help="Folder for the comparison.")
def command(report_a: Path, report_b: Path, out: Path) -> None:
    """Compare two networks on the same samples, from their reports.

    REPORT_A and REPORT_B are folders made by `report`. Writes paired differences as HTML, JSON and Markdown.
    """
    from asnn_deploy.cli.common import number
    from asnn_deploy.deploy.bundle import claimed_folder
    from asnn_deploy.errors import InputError
    from asnn_deploy.reporting.compare import compare, read_report, write
    from asnn_deploy.reporting.compare.says import conclusions
    from asnn_deploy.util.progress import phase

    if out.resolve() in (report_a.resolve(), report_b.resolve()):
        raise InputError(f"--out {out}: is one of the two reports; choose another folder")
    with claimed_folder(out, "compare.json"), phase("put the reports side by side"):
        compared = compare(read_report(report_a), read_report(report_b))
        write(compared, out)
    a, b = compared.a.name, compared.b.name
    say(f"{out / 'compare.html'}: A = {a}, B = {b}, {number(compared.samples, 'sample')}")
    for sentence in conclusions(compared):
        say(f"  {sentence}")
