"""The claim of equal spikes on any machine: verified under the instruction sets that the libraries can be held to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PRESETS = ("digits-lenet", "digits-sew-resnet", "digits-spikformer")
SETTINGS = {
    "ONEDNN_MAX_CPU_ISA": {"SSE41": "sse4_1", "AVX2": "avx2", "AVX512_CORE": "avx512bw"},
    "OPENBLAS_CORETYPE": {"Prescott": "pni", "Haswell": "avx2", "SkylakeX": "avx512bw"},
    "NUMBA_CPU_NAME": {"generic": ""},
    "ATEN_CPU_CAPABILITY": {"default": "", "avx2": "avx2"},
}
"""A library's variable, its values, and the processor's flag that each needs: oneDNN, OpenBLAS, Numba, torch."""
COMMANDS = "import sys, json; from asnn_deploy.cli import run; sys.exit(max(run(c) for c in json.loads(sys.argv[1])))"


def flags():
    """What the processor can do, as /proc/cpuinfo says."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.split(":")[1].split()}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("variable", "value", "flag"),
    [(variable, value, flag) for variable, values in SETTINGS.items() for value, flag in values.items()],
)
def test_no_spike_differs(variable, value, flag, threads, tmp_path):
    if flag and flag not in flags():
        pytest.skip(f"this processor has no {flag}")
    commands = []
    for name in PRESETS:
        run = str(tmp_path / name)
        small = ["--epochs", "1", "--train-limit", "200", "--set", f"training.threads={threads}"]
        commands.append(["train", "--preset", name, "--out", run, *small])
        commands.append(["verify", run, "--limit", "40", "--json", str(tmp_path / f"{name}.json")])
    environment = os.environ | {variable: value, "OMP_NUM_THREADS": str(threads)}
    shown = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)], capture_output=True, text=True, env=environment
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for name in PRESETS:
        targets = json.loads((tmp_path / f"{name}.json").read_text())["targets"]
        assert len(targets) > 1
        for target, found in targets.items():
            if target != "reference-fixed":  # what quantisation moves is not promised
                assert found["spike_mismatches"] == 0, (name, target)
