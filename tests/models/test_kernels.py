"""The fused kernels against Norse's own step by step, and the Triton kernel without a GPU: in its interpreter, and as
the code that it compiles to."""

from __future__ import annotations

import copy
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asnn_deploy.errors import ConfigError
from asnn_deploy.models.cells import AdaptiveLIFCell, LIFParameters, MultiStep
from asnn_deploy.models.kernels import INTERPRETED
from asnn_deploy.training.config import make_config, merge
from asnn_deploy.training.network import build_model, use_kernel
from asnn_deploy.training.presets import preset

SHAPE = (3, 4, 5)
GRAINS = {"layer": (), "channel": (3, 1, 1), "neuron": SHAPE, "row": (1, 4, 1)}
CHOICES = list(itertools.product(GRAINS, ("subtract", "zero"), ("attached", "detached")))
LEARNED = ("leak", "gain", "threshold")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def layer(grain, reset, gradient, dtype, rng, steps=6, shape=SHAPE, device="cpu"):
    """A layer of neurons with random parameters, some negative, as training may make them."""
    p = LIFParameters(steps, grain, LEARNED, reset, gradient == "attached")
    with torch.no_grad():
        for table, (low, high) in zip((p.leak, p.gain, p.threshold), ((-0.3, 1.1), (-0.2, 1.5), (0.3, 1.2))):
            table.copy_(torch.from_numpy(rng.uniform(low, high, table.shape)))
    return MultiStep(AdaptiveLIFCell(p)).to(device, dtype)


def both(module, x, weights):
    """Spikes and gradients, by Norse and by the kernel."""
    found = []
    for kernel in ("norse", "fused"):
        module.kernel = kernel
        wanted = [x.detach().clone().requires_grad_(), *module.parameters()]
        if x.dim() == 5 and not x.is_contiguous():
            wanted[0] = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        spikes = module(wanted[0])
        found.append((spikes, torch.autograd.grad((spikes.to(weights.dtype) * weights).sum(), wanted)))
    return found


def drawn(rng, shape, dtype, device="cpu"):
    return torch.from_numpy(rng.normal(0.6, 1.2, shape)).to(device, dtype)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("memory", ["contiguous", "channels-last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("grain", "reset", "gradient"), CHOICES)
def test_spikes_are_norses_and_so_are_gradients(grain, reset, gradient, dtype, memory, device):
    rng = np.random.default_rng(1)
    module = layer(GRAINS[grain], reset, gradient, dtype, rng, device=device)
    x = drawn(rng, (6, 4, *SHAPE), dtype, device)
    if memory == "channels-last":
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (6, 4))
    (norse, theirs), (fused, ours) = both(module, x, drawn(rng, x.shape, dtype, device))
    assert torch.equal(norse, fused)
    assert 0 < norse.mean() < 1
    bound = 1e-12 if dtype == torch.float64 else 1e-5
    for a, b in zip(ours, theirs):
        assert b.abs().max() > 0
        assert (a - b).abs().max() <= bound * b.abs().max()


@settings(max_examples=2 if INTERPRETED else 30)
@example(steps=1, batch=2, shape=(2, 17, 19), own=False, seed=0)
@example(steps=11, batch=2, shape=(70, 2, 3), own=True, seed=0)
@given(
    steps=st.integers(1, 9),
    batch=st.integers(1, 11),
    shape=st.sampled_from([(1,), (300,), (2, 17, 19), (40, 1, 1), (70, 2, 3)]),
    own=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size(steps, batch, shape, own, seed):
    """Runs longer and shorter than a block, samples fewer than parts, one neuron, one step, several spans of steps."""
    rng = np.random.default_rng(seed)
    module = layer(shape if own else (), "subtract", "attached", torch.float32, rng, steps, shape)
    x = drawn(rng, (steps, batch, *shape), torch.float32)
    (norse, _), (fused, _) = both(module, x, drawn(rng, x.shape, torch.float32))
    assert torch.equal(norse, fused)
    (_, theirs), (_, ours) = both(module.double(), x.double(), drawn(rng, x.shape, torch.float64))
    for a, b in zip(ours, theirs):  # 1: what is added up; the sum may be next to nothing
        assert (a - b).abs().max() <= 1e-12 * max(float(b.abs().max()), 1)


@pytest.mark.parametrize("device", DEVICES)
def test_bf16_has_a_float32_state(device):
    """The input's rounding is all that is lost: the spikes are those of the same input in float32."""
    rng = np.random.default_rng(2)
    module = layer((3, 1, 1), "subtract", "attached", torch.float32, rng, device=device)
    x = drawn(rng, (6, 4, *SHAPE), torch.bfloat16, device).requires_grad_()
    weights = drawn(rng, x.shape, torch.bfloat16, device)
    module.kernel = "fused"
    spikes = module(x)
    assert spikes.dtype == torch.bfloat16
    (spikes * weights).sum().backward()
    module.kernel = "norse"
    y = x.detach().float().requires_grad_()
    assert torch.equal(module(y), spikes.float())
    (of_y,) = torch.autograd.grad((module(y) * weights.float()).sum(), y)
    assert x.grad.dtype == torch.bfloat16
    assert torch.equal(x.grad, of_y.bfloat16()) or (x.grad - of_y).abs().max() <= 2**-8 * of_y.abs().max()


def test_a_number_of_threads_changes_nothing():
    rng = np.random.default_rng(3)
    module = layer((), "subtract", "attached", torch.float32, rng)
    x, weights = (drawn(rng, (6, 13, *SHAPE), torch.float32) for _ in range(2))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(both(module, x, weights)[1][1])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other))


def test_a_whole_network_with_either_kernel():
    config = make_config(merge(preset("digits-lenet"), {"model.widths": [6, 8], "model.hidden": 16}), "test")
    network = build_model(config, (1, 8, 8), 10).double()
    images = torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8)
    found = {}
    for kernel in ("norse", "fused"):
        use_kernel(network, kernel, torch.device("cpu"))
        network.zero_grad()
        logits, spikes = network.trace(images)
        logits.square().sum().backward()
        found[kernel] = spikes, {name: p.grad.clone() for name, p in network.named_parameters()}
    for name, spikes in found["norse"][0].items():
        assert torch.equal(spikes, found["fused"][0][name])
    largest = max(float(grad.abs().max()) for grad in found["norse"][1].values())
    for name, grad in found["norse"][1].items():  # some are 0 but for rounding: a bias in front of a batch norm
        assert (grad - found["fused"][1][name]).abs().max() <= 1e-11 * largest, name


@pytest.mark.parametrize("kernel", ["norse", "fused"])
@pytest.mark.parametrize(("steps", "segment"), [(5, 2), (4, 1), (3, 5)])
def test_segments_compute_what_the_whole_does(steps, segment, kernel):
    """The same summands, gradients and batch norm statistics, though most of the signals are computed twice."""
    changes = {"model.widths": [6, 8], "model.hidden": 16, "time_steps": steps, "model.granularity": "channel"}
    changes["training.batch_norm"] = "step"  # over all steps of a call, a segment has its own statistics
    network = build_model(make_config(merge(preset("digits-lenet"), changes), "test"), (1, 8, 8), 10).double()
    use_kernel(network, kernel, torch.device("cpu"))
    images = torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8)
    twin, found = copy.deepcopy(network), []
    for model, length in ((network, None), (twin, segment)):
        summands, traffic = model.watched(images, length)
        (summands.square().sum() + traffic.sum()).backward()
        found.append((summands, traffic))
    for whole, parts in zip(*found):
        assert torch.equal(whole, parts)
    for (name, a), (_, b) in zip(network.named_parameters(), twin.named_parameters()):
        assert (a.grad - b.grad).abs().max() <= 1e-12 * (1 + a.grad.abs().max()), name
    for (name, a), (_, b) in zip(network.named_buffers(), twin.named_buffers()):
        assert torch.equal(a, b), name


def test_fused_without_a_kernel_is_refused():
    config = make_config(merge(preset("digits-lenet"), {}), "test")
    with pytest.raises(ConfigError, match="kernel = fused: there is no fused kernel for device 'meta'"):
        use_kernel(build_model(config, (1, 8, 8), 10), "fused", torch.device("meta"))


def test_triton_in_its_interpreter():
    """The same tests, of the Triton kernels, which their own interpreter runs on the CPU."""
    pytest.importorskip("triton")
    if INTERPRETED:
        pytest.skip("this is the inner run")
    chosen = ["test_spikes_are_norses_and_so_are_gradients", "test_any_size", "test_bf16_has_a_float32_state"]
    run = [sys.executable, "-m", "pytest", "-q", "-x", __file__, "-k", " or ".join(chosen), "--rootdir", str(ROOT)]
    result = subprocess.run(run, cwd=ROOT, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:]
    assert " passed" in result.stdout


@pytest.mark.parametrize("size", ["i32", "i64"])
@pytest.mark.parametrize("ones", [{}, {"steps": 1, "spans": 1, "SPAN": 1}, {"positions": 1, "inner": 1}])
@pytest.mark.parametrize("x_type", ["*fp32", "*bf16"])
def test_the_compiled_kernel_fuses_no_multiply_with_an_add_on_the_way_to_a_spike(x_type, ones, size):
    """What Triton makes of the kernels for a GPU, which needs none to be there.

    ones: arguments that are compiled in, as Triton does with those that are 1.
    """
    triton = pytest.importorskip("triton")
    if INTERPRETED:
        pytest.skip("the interpreter compiles nothing")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from asnn_deploy.models.kernels import lif_triton

    sizes = dict.fromkeys(("steps", "positions", "granules", "inner", "spans", "table"), "i32") | {"size": size}
    floats = ("before", "after", "backwards", "kept", "leak", "gain", "threshold", "sums")
    tables = dict.fromkeys(floats, "*fp32")
    for kernel, own in (
        (lif_triton.lif_forward, {"TO_ZERO": False, "SAVE": True}),
        (lif_triton.lif_backward, {"TO_ZERO": False, "ATTACHED": True, "LEARNED": True}),
    ):
        types = {**dict.fromkeys(("x", "spikes", "grad", "given"), x_type), **tables, **sizes}
        constants = {
            "ROWS": 512,
            "COLS": 1,
            "SPAN": 4,
            **own,
            **{key: n for key, n in ones.items() if key in kernel.arg_names},
        }
        signature = {name: "constexpr" if name in constants else types[name] for name in kernel.arg_names}
        source = ASTSource(kernel, signature, constexprs=constants)
        made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=lif_triton.OPTIONS)
        if kernel is lif_triton.lif_forward:
            assert "fma.rn.f32" not in made.asm["ptx"]
        assert len(made.asm["cubin"]) > 0


ROOT = Path(__file__).parents[2]
