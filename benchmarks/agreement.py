"""Our counts against those of NeuroBench, SpikingJelly and SANA-FE, on the same small random networks.

    pip install 'asnn-deploy[agreement]'
    python3.11 -m venv OTHER && OTHER/bin/pip install spikingjelly==2.0.0
    python benchmarks/agreement.py --spikingjelly OTHER/bin/python [--out FILE]

The conventions are in docs/agreement.md. Ends with 1 where a number is not ours under the tool's convention.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent / "common")

from agreement_networks import NETWORKS, SEED, network, samples, save
from agreement_rows import neurobench_rows, sanafe_rows, spikingjelly_rows
from provenance import provenance

from asnn_deploy.util.files import write_text

HERE = Path(__file__).resolve().parent


def spikingjelly(python: str, files: list[Path]) -> dict[str, Any]:
    """What SpikingJelly counts, by network; run in the interpreter that has it."""
    command = [python, str(HERE / "agreement_spikingjelly.py"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Count with every tool, print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spikingjelly", required=True, metavar="PYTHON", help="interpreter that has SpikingJelly")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "agreement.json")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        cases = []
        for name in NETWORKS:
            graph = network(name)
            images, trace = samples(graph)
            save(Path(folder) / f"{name}.npz", graph, images)
            cases.append((name, graph, images, trace))
        other = spikingjelly(options.spikingjelly, [Path(folder) / f"{name}.npz" for name in NETWORKS])
        for case in cases:
            rows += neurobench_rows(*case, Path(folder) / f"{case[0]}.npz")
            rows += spikingjelly_rows(*case, other["networks"][case[0]])
            rows += sanafe_rows(*case)
    for r in sorted(rows, key=lambda r: r["tool"]):
        verdict = "equal" if r["equal"] else "DIFFERS"
        figures = f"{r['theirs']:>8,} {r['ours']:>8,} {r['ours_under_it']:>8,}"
        print(f"{r['tool']:<13}{r['network']:<16}{r['quantity']:<32}{figures} {verdict}  {r['convention']}")
    about = provenance(SEED, "neurobench", "sanafe", "torch")
    about["versions"]["spikingjelly"] = other["version"]
    write_text(options.out, json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    sys.exit(0 if all(r["equal"] for r in rows) else 1)


if __name__ == "__main__":
    main()
