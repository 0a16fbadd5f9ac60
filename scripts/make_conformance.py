"""Make docs/conformance.md: every conformance case, read and run here, against the spikes that its tool computed.

scripts/make_conformance.py [NAME ...]   all cases, or those whose names contain one of these words (to look at only)
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "conformance"))

import numpy as np  # noqa: E402
from reading import CASES, NOT_READ, facts, names, told  # noqa: E402

from asnn_deploy.conventions import meaning  # noqa: E402
from asnn_deploy.deploy.exporters import EXPORTERS  # noqa: E402
from asnn_deploy.deploy.reading import Reading  # noqa: E402
from asnn_deploy.deploy.source import Source, open_source  # noqa: E402
from asnn_deploy.engine.runner import run  # noqa: E402
from asnn_deploy.errors import AsnnDeployError  # noqa: E402
from asnn_deploy.ir.trace import Record  # noqa: E402
from asnn_deploy.matching.recording import Recording, read_recording  # noqa: E402
from asnn_deploy.matching.search import Search  # noqa: E402
from asnn_deploy.verifying.targets import pairing, verify  # noqa: E402

TARGETS = {"nir": "float32", "onnxruntime": "float32", "lava": "float32", "lava-fixed": "fixed"}
COLUMNS = ("case", "neurons", "spikes compared", "import", *TARGETS, "match")
PAGE = """# Conformance

Networks that other tools exported themselves (`conformance/cases/`, [its README](../conformance/README.md)), read here
as their tools mean them, and the spikes that differ from those that the tools computed. A number is a count of
differing spikes; every neuron, step and sample is compared.

- **import**: the network as it was read, in float32, against the tool's own spikes.
- **nir, onnxruntime, lava**: those targets against `reference`, with the weights snapped onto order-free grids.
- **lava-fixed**: the integer network in Lava against `reference-fixed`.
- **match**: what `asnn-deploy match` names first from the recording alone; "(of N)" if N meanings fit equally well.

Made by `scripts/make_conformance.py` at commit {commit}. The tools' versions: {versions}.

{table}
{missing}"""


def opened(case: str, snapped: bool = False) -> tuple[Source, Recording]:
    """Return a case's network, settled on what it was fed, and its recording."""
    source = open_source(CASES / case / "network.nir", Reading(**told(case), snapped=snapped))
    assert source.foreign is not None
    recording = read_recording(CASES / case / "recording.npz", source.graph, source.foreign.nodes)
    source.settle(recording.samples)
    return source, recording


def differing(case: str) -> tuple[int, int]:
    """Return how many spikes were compared with the tool's, and how many differ."""
    source, recording = opened(case)
    samples = recording.samples.astype(source.graph.code.dtype)
    with source.deployment:
        trace = run(source.graph, samples, Record(spikes=True))
    wrong = sum(int(np.count_nonzero(trace.spikes[name] != spikes)) for name, spikes in recording.spikes.items())
    return sum(spikes.size for spikes in recording.spikes.values()), wrong


def between_targets(case: str) -> list[str]:
    """Return the differing spikes of each target, or why it cannot run the network."""
    source, recording = opened(case, snapped=True)
    samples = recording.samples.astype(source.graph.code.dtype)
    found = []
    with source.deployment:
        for target, arithmetic in TARGETS.items():
            pair = pairing(target, arithmetic, has_run=False)
            try:
                report = verify(source.deployment, [pair], samples, None, [slice(0, len(samples))], len(samples))
                found.append(f"{report[target].spike_mismatches:,}")
            except AsnnDeployError as error:
                print(f"{case}: {target}: {error}", file=sys.stderr)
                found.append("–")
    return found


def matched(case: str) -> str:
    """Return the meaning that fits a case's recording best, in short."""
    file = EXPORTERS.available("nir").foreign(CASES / case / "network.nir")
    assert file is not None
    recording = read_recording(CASES / case / "recording.npz", file.graph(meaning("nir")), file.nodes)
    nodes = {layer: node for node, layer in file.nodes.items()}
    found = Search(file.graph, recording, nodes, None, file.time_step, file.kinds).best()
    best = found[0]
    if not best.exact:
        return "none fits"
    ties = sum(c.rank == best.rank for c in found)
    own = meaning(best.meaning.tool, dt=best.meaning.dt)
    changed = {rule: value for rule, value in best.meaning.rules.items() if value != own.rules.get(rule)}
    words = [f"{rule} {value}" for rule, value in changed.items() if rule != "nodes"]
    words += [f"{rule} {value} of {node}" for node, rule, value in best.meaning.nodes]
    return ", ".join([str(best.meaning.tool), *words]) + (f" (of {ties})" if ties > 1 else "")


def row(case: str) -> list[str]:
    """Return one line of the table."""
    compared, wrong = differing(case)
    neurons = facts(case)["neuron"].replace("|", "/")
    return [case, neurons, f"{compared:,}", f"{wrong:,}", *between_targets(case), matched(case)]


def main(words: list[str]) -> None:
    """Make the page, or print some of its lines."""
    rows = []
    for case in names():
        if case not in NOT_READ and (not words or any(word in case for word in words)):
            rows.append(row(case))
            print(" | ".join(rows[-1]), flush=True)
    if words:
        return
    versions = sorted({(c["tool"], c["versions"][c["tool"]]) for c in map(facts, names())})
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    missing = "; ".join(f"`{case}` ({why})" for case, why in NOT_READ.items())
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    page = PAGE.format(
        commit=commit.strip(),
        versions=", ".join(f"{tool} {version}" for tool, version in versions),
        table="\n".join(f"| {' | '.join(line)} |" for line in lines),
        missing=f"\nNot read as their tool means them yet: {missing}.\n" if missing else "",
    )
    (ROOT / "docs" / "conformance.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
