"""The ASNN cell against the recursion of the paper's reference code, written here from its equations; the cells of all
neuron models against NumPy's reading of them."""

import numpy as np
import pytest
import torch
from neuron_steps import float_step
from runs import warmed_up

from asnn_deploy.engine.runner import run
from asnn_deploy.errors import ConfigError
from asnn_deploy.input.coding import input_code
from asnn_deploy.ir.graph import INPUT
from asnn_deploy.ir.neurons import MODELS, NeuronModel, Parameter, Parameters
from asnn_deploy.ir.trace import Record
from asnn_deploy.models.builder import Builder
from asnn_deploy.models.cells import AdaptiveLIFCell, LIFParameters, MultiStep, NeuronCell, NeuronParameters, cell
from asnn_deploy.models.config import ModelConfig
from asnn_deploy.models.lowering import lower
from asnn_deploy.models.network import exact_sums

SHAPE = (3, 4, 5)
TRAINABLE = [name for name in MODELS if MODELS[name].real]
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


def random_parameters(name, steps, granularity, reset):
    """A cell that learns all parameters that it can, each drawn around 0.5 and a threshold around 1."""
    model = MODELS[name]
    learned = [key for key, parameter in model.parameters.items() if not parameter.optional]
    p = NeuronParameters(model, steps, granularity, learned, reset)
    for key, table in p.tables().items():
        torch.nn.init.uniform_(table, 0.3, 0.9) if key != "threshold" else torch.nn.init.uniform_(table, 0.8, 1.2)
    return p


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("granularity", GRAINS)
@pytest.mark.parametrize("name", TRAINABLE)
def test_every_model_is_a_cell_that_computes_its_definition(name, granularity, reset):
    model, steps = MODELS[name], 5
    p = random_parameters(name, steps, GRAINS[granularity], reset)
    x = torch.empty(steps, 4, *SHAPE).normal_(0.7, 1.0, generator=torch.Generator().manual_seed(0)).requires_grad_()
    sent = MultiStep(NeuronCell(p))(x)
    zero = np.zeros((4, *SHAPE), np.float32)
    first = {key: table[0].detach().numpy() for key, table in p.tables().items()}
    state = vars(model.before(Parameters(first), zero, zero.__add__))
    for t in range(steps):
        now = {key: table[t].detach().numpy() for key, table in p.tables().items()}
        expected, state = float_step(model, state, x[t].detach().numpy(), now, reset)
        assert np.array_equal(sent[t].detach().numpy(), expected.astype(np.float32))
    assert 0 < np.count_nonzero(sent.detach()) < (sent.numel() if model.spikes else np.inf)
    sent.sum().backward()
    assert x.grad.abs().max() > 0
    unread = {"reset_potential"} if reset == "subtract" else set()
    assert all(table.grad.abs().max() > 0 for key, table in p.tables().items() if key not in unread)


def test_plain_reading_of_lif_equals_its_fast_cell():
    fast = cell(MODELS["lif"], 4, (), ("leak", "gain", "threshold"), "zero")
    assert type(fast) is AdaptiveLIFCell
    slow = NeuronCell(fast.p)
    x = torch.randn(4, 3, *SHAPE)
    assert torch.equal(MultiStep(fast)(x), MultiStep(slow)(x))
    assert type(cell(MODELS["lif"], 4, (), ("leak", "bias"), "zero")) is NeuronCell


def test_what_is_not_learned_stays_at_its_initial_value():
    p = NeuronParameters(MODELS["cuba-lif"], 3, (), ("gain",))
    assert [key for key, table in p.named_parameters() if table.requires_grad] == ["gain"]
    assert set(p.state_dict()) == {"current_leak", "leak", "gain"}
    assert p.threshold.tolist() == [1.0] * 3
    assert p.at(0).bias is None
    for key, table in p.tables().items():
        assert table.unique().item() == pytest.approx(MODELS["cuba-lif"].parameters[key].first)


def test_a_parameter_without_a_beginning_is_refused():
    class Blank(NeuronModel):
        name = "blank"

    Blank.parameters = {"rate": Parameter("of something")}
    with pytest.raises(ConfigError, match="'blank': parameter 'rate' has no value to begin training with"):
        NeuronParameters(Blank(), 3)


def built(neuron, memory=False, **model):
    """A convolution and a linear layer; with memory, the answer is read through a leaky integrator."""
    torch.manual_seed(0)
    build = Builder(ModelConfig(neuron=neuron, **model), input_code("hybrid-latency", 5), (1, 6, 6))
    x = build.flatten(build.conv("conv", INPUT, 4))
    if not memory:
        return build.answer(x, "out", 3)
    x = build.synapses("memory_synapses", x, lambda: torch.nn.Linear(144, 3), (3,), norm=False)
    return build.readout(build.neurons("memory", x, "li"))


@pytest.mark.parametrize(("neuron", "memory"), [("cuba-lif", False), ("if", False), ("asnn", True), ("cuba-lif", True)])
def test_states_are_carried_between_segments(neuron, memory):
    network, images = warmed_up(built(neuron, memory), (1, 6, 6), 8)
    gradients = []
    for segment in (None, 2):
        network.zero_grad()
        logits = network.step_logits(images, segment)
        logits.square().sum().backward()
        gradients.append([logits, *(p.grad for p in network.parameters() if p.requires_grad)])
    for whole, cut in zip(*gradients):
        assert torch.allclose(whole, cut, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize(("neuron", "memory"), [("cuba-lif", False), ("if", False), ("asnn", True)])
def test_any_neuron_is_lowered_to_its_model(neuron, memory, reset):
    network, images = warmed_up(built(neuron, memory, reset=reset, granularity="channel"), (1, 6, 6), 8)
    graph = lower(network)
    network.fold(graph)
    with exact_sums():
        logits, spikes = network.trace(images)
    trace = run(graph, images.numpy(), Record(spikes=True))
    assert graph.by_name["conv"].model == {"asnn": "lif"}.get(neuron, neuron)
    assert list(spikes) == ["conv"]  # not of a leaky integrator
    assert spikes["conv"].any()
    assert np.array_equal(spikes["conv"].numpy(), trace.spikes["conv"])
    assert np.array_equal(logits.numpy(), trace.logits)


@pytest.mark.parametrize("key", ["initial", "reset_potential", "bias"])
def test_the_fast_cell_is_taken_for_what_it_knows_only(key):
    assert type(cell(MODELS["lif"], 4, (), ("leak", key, "readout"), "zero")) is NeuronCell
    assert type(cell(MODELS["lif"], 4, (), ("leak", "readout"), "zero")) is AdaptiveLIFCell


def test_what_other_tools_add_is_neither_learned_unasked_nor_trained_otherwise():
    for name in TRAINABLE:
        known = MODELS[name].parameters
        assert {known[key].optional for key in ModelConfig(neuron=name).learned if key in known} <= {False}
    with pytest.raises(ConfigError, match="reset 'delayed-zero' does not train, allowed: subtract, zero"):
        NeuronParameters(MODELS["lif"], 2, reset="delayed-zero")
