"""Which Processes a stock network is made of, seen from an interpreter that has made nothing else."""

import os
import subprocess
import sys


def processes_of(made, tapped):
    """The types of Process of a network; made: the statements that make its `graph`."""
    program = (
        f"{made}; from asnn_targets.lava.stock.network import Network; "
        f"print(*sorted({{f'{{type(p).__module__}}.{{type(p).__name__}}' for p in Network(graph, {tapped!r}).titles}}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()
