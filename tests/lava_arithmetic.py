"""Runs Lava's own fixed-point neurons and synapses on given arrays, in an interpreter of its own.

python lava_arithmetic.py KIND IN.npz OUT.npz; `run` calls it. Nothing of asnn_deploy in here: this is the other side.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np


def run(kind, folder, **arrays):
    """What the function of that name below makes of the arrays."""
    given, answer = Path(folder) / f"{kind}-in.npz", Path(folder) / f"{kind}-out.npz"
    np.savez(given, **arrays)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    subprocess.run([sys.executable, __file__, kind, given, answer], check=True, env=os.environ | threads)
    with np.load(answer) as file:
        return {key: file[key] for key in file.files}


def streamed(outs, steps, read=()):
    """Run the Processes behind some ports: what left each port, `[steps, ...]`, and the final values of variables."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.extractor import Extractor, PyLoihiExtractorModel

    taps = [Extractor(shape=out.shape, buffer_size=4) for out in outs]
    for out, tap in zip(outs, taps):
        out.connect(tap.in_port)
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={Extractor: PyLoihiExtractorModel})
    try:
        taps[0].run(condition=RunSteps(steps, blocking=False), run_cfg=config)
        rows = [[tap.receive() for tap in taps] for _ in range(steps)]
        taps[0].wait()
        return [np.stack(column) for column in zip(*rows)], [variable.get() for variable in read]
    finally:
        taps[0].stop()


def populations(x, du, dv, vth, bias_mant, bias_exp):
    """Lava's LIF in one run: x `[P, T, N]`; du, dv, vth `[P]`; biases `[P, N]`. Spikes, and the final states."""
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIF

    count, steps, size = x.shape
    lifs = []
    joint = Sink(shape=(size,), buffer=1)  # Lava runs what is connected
    for p in range(count):
        one = {"du": int(du[p]), "dv": int(dv[p]), "vth": int(vth[p])}
        lifs.append(LIF(shape=(size,), bias_mant=bias_mant[p], bias_exp=bias_exp[p], **one))
        RingBuffer(data=x[p].T).s_out.connect(lifs[p].a_in)
        lifs[p].s_out.connect(joint.a_in)
    states = [variable for lif in lifs for variable in (lif.u, lif.v)]
    spikes, states = streamed([lif.s_out for lif in lifs], steps, states)
    return {"spikes": np.stack(spikes), "u": np.stack(states[::2]), "v": np.stack(states[1::2])}


def trajectories(x, du, dv, vth, bias_mant, bias_exp):
    """The states after every step, by Lava's ProcessModel without a runtime around it."""
    from lava.proc.lif.models import PyLifModelBitAcc

    count, steps, size = x.shape
    found = {key: np.zeros(x.shape, np.int64) for key in ("u", "v", "spikes")}
    for p in range(count):
        model = PyLifModelBitAcc({})
        model.u, model.v = np.zeros(size, np.int32), np.zeros(size, np.int32)
        model.du, model.dv, model.vth = int(du[p]), int(dv[p]), int(vth[p])
        model.bias_mant, model.bias_exp = bias_mant[p].astype(np.int16), bias_exp[p].astype(np.int16)
        model.scale_bias()
        model.scale_threshold()
        for t in range(steps):
            model.subthr_dynamics(x[p, t].astype(np.int32))
            spikes = model.spiking_activation()
            model.reset_voltage(spikes)
            for key, value in (("u", model.u), ("v", model.v), ("spikes", spikes)):
                found[key][p, t] = value
    return found


def weights(weight):
    """What Lava makes of weights, by sign mode and bits."""
    from lava.utils.weightutils import SignMode, clip_weights, determine_sign_mode, truncate_weights

    found = {}
    for mode in (SignMode.MIXED, SignMode.EXCITATORY, SignMode.INHIBITORY):
        for bits in range(1, 9):
            clipped = clip_weights(weight, mode, num_bits=8)
            found[f"{mode.name.lower()}-{bits}"] = truncate_weights(clipped, mode, bits)
    for name, part in (("some", weight), ("positive", np.abs(weight)), ("negative", -np.abs(weight))):
        found[name] = np.array(determine_sign_mode(part).name.lower())
    return found


def synapses(x, **cases):
    """Dense and Conv in one run: x `[W, H, C, T]`. Cases by name "dense ..." or "conv ...", their options in it."""
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import Dense
    from lava.proc.io.source import RingBuffer
    from lava.utils.weightutils import SignMode

    source = RingBuffer(data=x)
    outs = []
    for case, weight in cases.items():
        kind, *options = case.split()
        values = dict(option.split("=") for option in options)
        if "sign_mode" in values:
            values["sign_mode"] = SignMode[values["sign_mode"].upper()]
        values = {key: int(value) if isinstance(value, str) else value for key, value in values.items()}
        if kind == "dense":
            process = Dense(weights=weight, **values)
            source.s_out.flatten().connect(process.s_in)
        else:
            process = Conv(weight=weight, input_shape=x.shape[:3], **values)
            source.s_out.connect(process.s_in)
        outs.append(process.a_out)
    found, _ = streamed(outs, x.shape[-1])
    return dict(zip(cases, found))


if __name__ == "__main__":
    with np.load(sys.argv[2]) as file:
        answers = {f.__name__: f for f in (populations, trajectories, weights, synapses)}[sys.argv[1]](
            **{key: file[key] for key in file.files}
        )
    np.savez(sys.argv[3], **answers)
