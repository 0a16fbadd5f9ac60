"""`asnn-deploy match`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asnn_deploy.cli.common import Output, json_option, say

if TYPE_CHECKING:
    from asnn_deploy.deploy.reading import Foreign
    from asnn_deploy.ir.graph import DeployGraph
    from asnn_deploy.matching.search import Candidate


@click.command(epilog="Example: asnn-deploy match net.nir --recording rec.npz --json match.json --out net-told.nir")
@click.argument("source", metavar="FILE.nir", type=click.Path(path_type=Path))
@click.option(
    "--recording",
    "recording_file",
    required=True,
    type=click.Path(path_type=Path),
    help="What the tool was fed and sent: FILE.npz with input [T, B, ...] and an array for each node by its name.",
)
@click.option("--batch-first", is_flag=True, help="The recording's arrays are [B, T, ...].")
@click.option("--dt", type=float, help="Length of a time step, if it is known; default: try those of the tools.")
@json_option
@click.option("--out", type=Output(folder=False), help="Write the file again, with the best rules in it.")
def command(
    source: Path,
    recording_file: Path,
    batch_first: bool,
    dt: float | None,
    json_file: Path | None,
    out: Path | None,
) -> int:
    """Find the rules by which another tool ran its network.

    From what it was fed and what it sent: every layer is fed what was recorded of those before it. Exits with 1 if the
    best rules differ by more than rounding.
    """
    from asnn_deploy.cli.common import write_json
    from asnn_deploy.deploy.exporters import EXPORTERS
    from asnn_deploy.errors import InputError
    from asnn_deploy.matching.recording import read_recording
    from asnn_deploy.matching.search import Search

    exporter = EXPORTERS.available("nir")
    file = exporter.foreign(source)
    if file is None:
        raise InputError(f"{source}: was written by asnn-deploy and states its own rules; nothing is to be found")
    if out is not None and out.suffix != ".nir":
        raise InputError(f"--out {out}: a NIR file ends in .nir")
    graph = first_graph(file, dt)
    recording = read_recording(recording_file, graph, file.nodes, batch_first)
    names = {layer: node for node, layer in file.nodes.items()}
    found = Search(file.graph, recording, names, dt, file.time_step, file.kinds, graph).best()
    print_candidates(found)
    write_json(json_file, {"best": found[0].to_json(), "candidates": [c.to_json() for c in found]})
    if out is not None:
        exporter.restate(source, out, found[0].meaning)
        say(f"{out}: written, with these rules in it")
    return 0 if found[0].exact else 1


def first_graph(file: Foreign, dt: float | None) -> DeployGraph:
    """The network by NIR's own rules, at the first time step at which its delays are whole steps."""
    from asnn_deploy.conventions import meaning
    from asnn_deploy.errors import GraphError
    from asnn_deploy.matching.search import TIME_STEPS

    tried = [step for step in (dt, file.time_step) if step is not None] or [*TIME_STEPS]
    for step in tried[:-1]:
        try:
            return file.graph(meaning("nir", dt=step))
        except GraphError:
            continue
    return file.graph(meaning("nir", dt=tried[-1]))


def print_candidates(found: list[Candidate]) -> None:
    """The best candidates, and where the first of them differs."""
    from asnn_deploy.cli.tables import table

    best = found[0]
    ties = sum(c.rank == best.rank for c in found)
    nodes = [layer.node for layer in best.layers]
    table(
        f"{best.compared:,} spikes compared; {ties} of {len(found)} meanings fit best",
        ["meaning", "differing", "within rounding", "potentials", *nodes],
        [
            (
                c.meaning.in_words(),
                *(f"{n:,}" for n in (c.differing, c.within_rounding, c.potentials_differing)),
                *counts(c),
            )
            for c in found
        ],
    )
    first = best.first
    if first is None:
        say("the best meaning fits exactly" if not best.potentials_differing else "potentials differ")
        return
    expected = "" if first.expected_potential is None else f" (recorded {first.expected_potential:.9g})"
    say(
        f"first divergence: node {first.node}, step {first.step}, sample {first.sample}, neuron {first.index}: "
        f"recorded {first.expected:g}, got {first.got:g}; potential {first.potential:.9g}{expected}, "
        f"threshold {first.threshold:.9g}"
    )


def counts(candidate: Candidate) -> list[Any]:
    """How many spikes differ, within rounding too; how many potentials; and how many spikes of each layer."""
    each = [layer.differing for layer in candidate.layers]
    totals = candidate.differing, candidate.within_rounding, candidate.potentials_differing
    return [f"{count:,}" for count in (*totals, *each)]
