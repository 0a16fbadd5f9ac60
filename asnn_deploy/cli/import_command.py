"""`asnn-deploy import`."""

from __future__ import annotations

from pathlib import Path

import click

from asnn_deploy.cli.common import Output, download_option, say
from asnn_deploy.cli.completion import names


@click.command(
    "import",
    epilog='Example: asnn-deploy import lenet.pt --kind asnn-reference --coding "mix time" --data cifar100:DIR '
    "--out run",
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--kind", required=True, metavar="asnn-reference", help="What the checkpoint is.")
@click.option(
    "--coding",
    required=True,
    metavar="NAME",
    help='time, "mix time", embedding, "mix embedding" or direct.',
)
@click.option("--adaptive/--no-adaptive", default=True, help="With the readout's weights of the steps, or without.")
@click.option(
    "--data",
    "data_spec",
    shell_complete=names("data"),
    metavar="NAME[:PATH]",
    help="Data set to remember and to measure on.",
)
@download_option
@click.option("--out", required=True, type=Output(), help="Folder for the run.")
def command(path: Path, kind: str, coding: str, adaptive: bool, data_spec: str | None, out: Path) -> None:
    """Import a checkpoint that other code has trained.

    PATH is a state dict of the reference LeNet of ASNN (arXiv 2408.12407), saved by torch.save. It is never unpickled.
    --out becomes a run folder, which every command takes.
    """
    from asnn_deploy.api.network import check_data
    from asnn_deploy.api.training import check_folder
    from asnn_deploy.cli.common import load, percent, show_deployed

    check_folder(out, resume=False)
    data = None if data_spec is None else load(data_spec)
    from asnn_deploy.training.imported import read_imported, write_imported  # loads torch: what can be said is said

    imported = read_imported(path, kind, coding, adaptive)
    if data is not None:
        for split in data.images:
            check_data(data, imported.graph, split)
    summary = write_imported(imported, out, data)
    measured = "" if data is None else f"{percent(summary['test_accuracy'])} test accuracy as deployed, "
    say(f"{out}: {measured}T = {summary['time_steps']}, coding {summary['coding']}, {summary['parameters']} parameters")
    if data is None:
        say("nothing was measured, and no weight clips were chosen: there is no --data")
    else:
        show_deployed(summary)
