"""The ASNN cell against the recursion of the paper's reference code, written here from its equations."""

import numpy as np
import pytest
import torch

from asnn_deploy.models.cells import AdaptiveLIFCell, LIFParameters, MultiStep

SHAPE = (3, 4, 5)
GRAINS = {"layer": (), "channel": (3, 1, 1), "neuron": SHAPE}


def random_cell(rng, time_steps, granularity):
    p = LIFParameters(time_steps, granularity).double()
    with torch.no_grad():
        p.leak.copy_(torch.from_numpy(rng.uniform(-0.2, 1.1, p.leak.shape)))
        p.gain.copy_(torch.from_numpy(rng.uniform(0.1, 1.5, p.gain.shape)))
    return AdaptiveLIFCell(p)


@pytest.mark.parametrize("granularity", GRAINS)
@pytest.mark.parametrize("time_steps", range(1, 13))
def test_spikes_equal_the_naive_recursion(granularity, time_steps):
    rng = np.random.default_rng(time_steps)
    cell = random_cell(rng, time_steps, GRAINS[granularity])
    leak, gain = (
        np.broadcast_to(
            t.detach().numpy().reshape(time_steps, *(GRAINS[granularity] or (1, 1, 1))), (time_steps, *SHAPE)
        )
        for t in (cell.p.leak, cell.p.gain)
    )
    x = rng.normal(0.6, 1.0, (time_steps, 8, *SHAPE))
    state, fired = None, 0
    for b in range(8):
        for place in np.ndindex(*SHAPE):
            v, train = 0.0, []
            for t in range(time_steps):
                v = leak[t][place] * v + gain[t][place] * x[t, b][place]
                spike = 1.0 if v - 1 > 0 else 0.0
                v -= spike
                train.append(spike)
            x_one = torch.from_numpy(x[:, b : b + 1])
            if place == (0, 0, 0):
                layered = MultiStep(cell)(x_one).detach().numpy()[:, 0]
            assert layered[(slice(None), *place)].tolist() == train
            fired += sum(train)
    assert 0 < fired < x.size
    for t in range(time_steps):  # the same, step by step, as Norse cells are used
        spikes, state = cell(torch.from_numpy(x[t]), state)
        assert state.step == t + 1
        assert set(spikes.unique().tolist()) <= {0.0, 1.0}


class Surrogate(torch.autograd.Function):
    """Step forward, the derivative of sigmoid(4x) backward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(4 * x)
        return grad * 4 * s * (1 - s)


@pytest.mark.parametrize("granularity", GRAINS)
def test_gradients_equal_autograd_of_the_recursion(granularity):
    rng = np.random.default_rng(5)
    cell = random_cell(rng, 6, GRAINS[granularity])
    x = torch.from_numpy(rng.normal(0.6, 1.0, (6, 2, *SHAPE))).requires_grad_()
    weights = torch.from_numpy(rng.normal(size=(6, 2, *SHAPE)))
    (MultiStep(cell)(x) * weights).sum().backward()
    got = [x.grad.clone(), cell.p.leak.grad.clone(), cell.p.gain.grad.clone()]

    y = x.detach().clone().requires_grad_()
    leak, gain = (p.detach().clone().requires_grad_() for p in (cell.p.leak, cell.p.gain))
    v, loss = torch.zeros(2, *SHAPE, dtype=torch.float64), 0.0
    for t in range(6):
        v = leak[t] * v + gain[t] * y[t]
        s = Surrogate.apply(v - 1)
        v = v - s
        loss = loss + (s * weights[t]).sum()
    loss.backward()
    for mine, theirs in zip(got, (y.grad, leak.grad, gain.grad)):
        assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-9)
        assert theirs.abs().max() > 0


def test_plain_lif_does_not_learn():
    p = LIFParameters(4, learned=())
    assert not any(q.requires_grad for q in p.parameters())
    assert p.leak.unique().tolist() == [0.5]
