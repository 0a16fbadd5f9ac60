"""Make the generated documents: docs/commands.md, docs/capabilities.md, the tables in docs/results.md and
docs/training.md, and with
--recording docs/quickstart.svg.

scripts/make_docs.py               write the documents
scripts/make_docs.py --check       exit 1 where a written one differs from what would be made
scripts/make_docs.py --recording   also run the quickstart and record its terminal
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402
from networks import attention, features, feedback, lenet  # noqa: E402
from networks.making import CODING_STEPS, random_inputs  # noqa: E402

from asnn_deploy.cli import COMMANDS  # noqa: E402
from asnn_deploy.cli.common import console  # noqa: E402
from asnn_deploy.deploy.deployment import Deployment  # noqa: E402
from asnn_deploy.deploy.registry import TARGETS  # noqa: E402
from asnn_deploy.errors import AsnnDeployError  # noqa: E402
from asnn_deploy.ir.graph import DeployGraph  # noqa: E402
from asnn_deploy.ir.trace import Record  # noqa: E402
from asnn_deploy.loihi import to_loihi  # noqa: E402

FEATURES = {
    **{
        f"{name} coding": (lambda name=name, steps=steps: lenet.small_lenet(steps, name))
        for name, steps in CODING_STEPS.items()
    },
    "parameters per layer, per step": lambda: lenet.small_lenet(),
    "parameters per channel, per step": lambda: lenet.small_lenet(granularity="channel"),
    "parameters per neuron, per step": lambda: lenet.small_lenet(granularity="neuron"),
    "weights per step": features.weights_at_each_step,
    "stride, dilation, groups": features.strides_groups_dilation,
    "1-D convolution": features.one_dimension,
    "residual sums of spikes": features.residual,
    "delayed edges": features.delayed_edges,
    "recurrence": features.recurrent,
    "convolution over time and space": features.over_time,
    "products of signals": attention.attention,
    "self-attention, residual counts": attention.transformer_block,
    "scaled currents": features.scaled_currents,
    "synaptic current": features.currents_that_leak,
    "integrate-and-fire, leaky integrator": features.integrators,
    "largest of counts": features.largest_counts,
    "sequence of spikes": lambda: features.sequence("spikes"),
    "sequence of counts": lambda: features.sequence("counts", 3),
    "sequence of values": lambda: features.sequence("values", 2),
    "reset to zero, bias": features.hard_reset_with_bias,
    "static LIF, direct coding": lambda: lenet.static_lenet(coding="direct"),
    "static LIF, latency coding, sum-pool": lambda: lenet.static_lenet(pool="sum"),
    "static LIF with synaptic current": lambda: lenet.static_lenet(lif=lenet.loihi_cuba),
    "static LIF that reads itself": lambda: feedback.looped(4, *feedback.random_weights(3)),
}
REFERENCES = ("reference", "reference-fixed")


def capabilities() -> str:
    """The table of what each target carries, made by running each feature on each target."""
    targets = [name for name in TARGETS if name not in (*REFERENCES, "norse", "norse-fixed")]
    columns = ["reference-fixed", *targets]
    refused: dict[str, str] = {}
    rows = []
    for feature, make in FEATURES.items():
        cells = [cell(make(), target, refused) for target in columns]
        rows.append(f"| {feature} | {' | '.join(cells)} |")
    head = f"| feature | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"
    notes = "\n".join(f"{mark}. {text}" for text, mark in refused.items())
    return (
        "# What each target carries\n\n"
        "Made by `scripts/make_docs.py`, which runs a small network with each feature on each target and compares "
        "every spike: float targets with `reference`, `lava-fixed` with `reference-fixed`. **exact**: no spike and no "
        "logit differs, bit for bit. For `reference-fixed` itself, **yes** says that the feature has an integer "
        "version; how far quantisation moves it is for `verify` to count. `lava-stock` runs its networks in Loihi's "
        "own neurons, as `export --target lava --set processes=stock` makes them; all but the static ones here are "
        "adaptive. `nir` reads the canonical dialect, or the extended one where signals are multiplied (docs/nir.md). "
        "`norse` runs what it was trained as and is compared in the tests.\n\n"
        f"{head}\n" + "\n".join(rows) + f"\n\nRefused, in one line that names the layer:\n\n{notes}\n"
    )


def cell(graph: DeployGraph, name: str, refused: dict[str, str]) -> str:
    """One feature on one target: exact, differs, yes, or a note's number."""
    target = TARGETS.find(name)
    images = random_inputs(graph, 3)
    record = Record(spikes=True)
    try:
        fixed = to_loihi(graph) if name == "lava-stock" else None
        with Deployment(graph, fixed=fixed) as deployment, target.open(deployment, 3) as session:
            got = session.run(images, record)
            if name == "reference-fixed":
                return "yes"
            against = TARGETS.find("reference-fixed" if target.arithmetic == "fixed" else "reference")
            expected = against.open(deployment, 3).run(images, record)
    except AsnnDeployError as error:
        mark = refused.setdefault(str(error), str(len(refused) + 1))
        return f"[{mark}]"
    same = all(np.array_equal(got.spikes[k], expected.spikes[k]) for k in expected.spikes)
    return "exact" if same and np.array_equal(got.logits, expected.logits) else "**differs**"


def commands() -> str:
    """Every command's --help."""
    parts = ["# Commands\n\nMade by `scripts/make_docs.py` from `--help`.\n"]
    for arguments in ([], *([name] for name in COMMANDS)):
        shown = subprocess.run(
            [sys.executable, "-c", "from asnn_deploy.cli import main; main()", *arguments, "--help"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=os.environ | {"COLUMNS": "100"},
        ).stdout
        title = " ".join(["asnn-deploy", *arguments])
        parts.append(f"\n## `{title}`\n\n```text\n{shown.rstrip()}\n```\n")
    return "".join(parts)


def results() -> str:
    """docs/results.md with the table of each experiment made anew from its JSON."""
    sys.path.insert(0, str(ROOT / "examples"))
    from paper_claim import table

    def block(match: re.Match[str]) -> str:
        found = json.loads((ROOT / "docs" / "results" / f"{match[1]}.json").read_text(encoding="utf-8"))
        given = {key: value for key, value in found["arguments"].items() if value is not None}
        profiles = given.pop("profile")
        options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in given.items())
        command = f"python examples/paper_claim.py {options} --seeds {len(found['seeds'])}"
        note = f"`{command}`, commit {found['commit']}; energies: {', '.join(profiles)}."
        return f"<!-- claim {match[1]} -->\n\n{note}\n\n{table(found)}\n<!-- end -->"

    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    return re.sub(r"<!-- claim (\S+) -->.*?<!-- end -->", block, text, flags=re.DOTALL)


def training() -> str:
    """docs/training.md with the tables of what a price on synaptic operations buys."""
    sys.path.insert(0, str(ROOT / "examples"))
    from sop_penalty import table

    def block(match: re.Match[str]) -> str:
        found = json.loads((ROOT / "docs" / "results" / f"{match[1]}.json").read_text(encoding="utf-8"))
        return f"<!-- price {match[1]} -->\n\n{table(found)}\n<!-- end -->"

    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    return re.sub(r"<!-- price (\S+) -->.*?<!-- end -->", block, text, flags=re.DOTALL)


def recording(path: Path) -> None:
    """Run the quickstart and the newcomer's next command; keep the terminal as SVG."""
    from rich.text import Text

    terminal = console(record=True, width=112, file=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        for line in ("scripts/quickstart --out demo", ".venv/bin/asnn-deploy verify demo/lava --target lava-fixed"):
            terminal.print(Text("$ " + line, style="bold"))
            arguments = line.split()[1:] if "asnn-deploy" in line else ["quickstart", *line.split()[1:]]
            shown = subprocess.run(
                [sys.executable, "-c", "from asnn_deploy.cli import main; main()", *arguments],
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
                env={k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"},
            )
            terminal.print(Text(shown.stdout.rstrip() + "\n"))
    svg = terminal.export_svg(title="asnn-deploy", unique_id="quickstart")
    svg = re.sub(r"@font-face\s*{.*?}", "", svg, flags=re.DOTALL)  # no fonts from the network
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


def main() -> int:
    """Write, or check."""
    made = {ROOT / "docs" / "commands.md": commands(), ROOT / "docs" / "results.md": results()}
    made[ROOT / "docs" / "training.md"] = training()
    if TARGETS.find("lava").unavailable() is None:  # the table needs every target
        made[ROOT / "docs" / "capabilities.md"] = capabilities()
    if "--check" in sys.argv:
        stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
        for path in stale:
            print(f"{path.relative_to(ROOT)}: out of date; run scripts/make_docs.py")
        return int(bool(stale))
    for path, text in made.items():
        path.write_text(text)
    if "--recording" in sys.argv:
        recording(ROOT / "docs" / "quickstart.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
