"""Modules of other tools as graphs: every spike as the module's own, and what cannot be said refused by path and type."""

import norse.torch as norse
import numpy as np
import pytest
import torch
import torch_tools as tools
from norse.torch.functional.reset import reset_subtract
from torch import nn

import asnn_deploy
from asnn_deploy.errors import InputError, LoweringError

STEPS, BATCH = 40, 6


def filled(net, gain=2.0, seed=0):
    """Weights of both signs whose sums are mostly positive, on a grid of 1/64, as order-free sums need them."""
    rng = np.random.default_rng(seed)
    for name, value in [*net.named_parameters(), *net.named_buffers()]:
        last = name.rsplit(".", 1)[-1]
        if last == "running_var" or (last == "weight" and value.ndim == 1):
            drawn = 4.0 ** rng.integers(-1, 2, value.shape)  # whose roots are powers of two
        elif "weight" in last:
            fan_in, back = int(np.prod(value.shape[1:])), 0.4 if "rec" in name else 1.0
            drawn = back * gain * rng.normal(1.3 / fan_in, 1.5 / np.sqrt(fan_in), value.shape)
        elif last in ("bias", "running_mean"):
            drawn = rng.normal(0.03, 0.06, value.shape)
        else:
            continue
        value.data.copy_(torch.tensor(np.round(drawn * 64) / 64))
    return net.eval()


def frames(*shape, seed=1):
    return (np.random.default_rng(seed).random((STEPS, BATCH, *shape)) < 0.4).astype(np.float32)


def recorded(net, x, order):
    """What each module without children sent over x `[T, B, ...]`, by its path, `[T, B, ...]`.

    order: how the network is called: "step", on a step after the other, or on axes "TB" or "BT".
    """
    sent = {}
    for name, module in net.named_modules():
        if not list(module.children()) or hasattr(module, "spike_fn") or hasattr(module, "recurrent"):
            keep = lambda _m, _i, out, n=name: sent.setdefault(n, []).append(out[0] if isinstance(out, tuple) else out)
            module.register_forward_hook(keep)
    with torch.no_grad():
        if order == "step":
            state = ()
            for frame in torch.from_numpy(x):
                out = net(frame, *state)
                state = (out[1],) if isinstance(out, tuple) else ()
        else:
            net(torch.from_numpy(x if order == "TB" else x.swapaxes(0, 1)))
    join = {"step": torch.stack, "TB": lambda parts: parts[0], "BT": lambda parts: parts[0].swapaxes(0, 1)}[order]
    return {name: join(parts).numpy() for name, parts in sent.items()}


def assert_equal_spikes(net, shape=(12,), order="step", tool=None, share=0.01):
    """Every spike and every answer of the graph is the module's own; returns the graph."""
    x = frames(*shape)
    graph = asnn_deploy.from_torch(net, torch.zeros(*((1,) if order == "step" else (1, 1)), *shape), tool)
    sent = recorded(net, x, order)
    trace = asnn_deploy.run(graph, x.swapaxes(0, 1))
    assert trace.spikes
    for name, spikes in trace.spikes.items():
        assert np.array_equal(spikes, sent[name]), name
        assert share < (spikes != 0).mean() < 0.99, name
    total = np.zeros_like(trace.logits)
    for step in list(sent.values())[-1]:
        total = total + step.reshape(trace.logits.shape)
    assert np.array_equal(trace.logits, total)
    return graph


def dense(make):
    return filled(nn.Sequential(nn.Linear(12, 16), make(16), nn.Linear(16, 5), make(5)))


SNNTORCH = {
    "subtract": lambda n: tools.Leaky(0.9),
    "zero": lambda n: tools.Leaky(0.5, reset_mechanism="zero"),
    "none": lambda n: tools.Leaky(0.25, reset_mechanism="none", threshold=1.5),
    "leftover": lambda n: tools.Leaky(0.75, reset_delay=False),
    "zero at once": lambda n: tools.Leaky(0.75, reset_delay=False, reset_mechanism="zero"),
    "each neuron's own": lambda n: tools.Leaky(torch.linspace(-0.1, 1.1, n), torch.linspace(0.5, 1.25, n)),
    "synaptic": lambda n: tools.Synaptic(0.75, alpha=torch.tensor(0.5)),
    "synaptic zero": lambda n: tools.Synaptic(0.5, alpha=torch.tensor(0.25), reset_mechanism="zero"),
    "recurrent": lambda n: tools.RLeaky(0.5, all_to_all=True, recurrent=nn.Linear(n, n)),
    "recurrent zero": lambda n: tools.RLeaky(
        0.5, all_to_all=True, recurrent=nn.Linear(n, n), reset_mechanism="zero", threshold=2.0
    ),
    "one to one": lambda n: tools.RLeaky(0.5, all_to_all=False, recurrent=tools.OneToOne(torch.arange(n) / 16 - 0.5)),
    "recurrent synaptic": lambda n: tools.RSynaptic(
        0.5, alpha=torch.tensor(0.25), threshold=4.0, all_to_all=True, recurrent=nn.Linear(n, n)
    ),
}
SPIKINGJELLY = {
    "if": lambda n: tools.IFNode(),
    "if soft": lambda n: tools.IFNode(v_reset=None, v_threshold=1.5),
    "if v_reset": lambda n: tools.IFNode(v_reset=-0.25),
    "lif": lambda n: tools.LIFNode(tau=2.0, decay_input=True),
    "lif v_reset": lambda n: tools.LIFNode(tau=2.0, decay_input=True, v_reset=-0.25),
    "lif input kept": lambda n: tools.LIFNode(tau=4.0, decay_input=False, v_reset=0.125),
    "lif soft": lambda n: tools.LIFNode(tau=2.0, decay_input=True, v_reset=None),
    "parametric": lambda n: tools.ParametricLIFNode(w=torch.tensor(-0.3), decay_input=True),
    "cuba": lambda n: tools.CUBALIFNode(c_decay=0.5, v_decay=0.75),
}
SINABS = {
    "lif": lambda n: tools.LIF(spike_threshold=0.5),
    "lif added": lambda n: tools.LIF(norm_input=False),
    "lif current": lambda n: tools.LIF(norm_input=False, tau_syn=2.0),
    "lif bound": lambda n: tools.LIF(norm_input=False, min_v_mem=-0.3),
    "iaf": lambda n: tools.IAF(),
    "iaf single": lambda n: tools.IAF(spike_fn=tools.SingleSpike),
    "iaf at most one": lambda n: tools.IAF(spike_fn=tools.MaxSpike(1)),
    "iaf zero": lambda n: tools.IAF(reset_fn=tools.MembraneReset()),
    "recurrent": lambda n: tools.LIFRecurrent(
        rec_connect=nn.Linear(n, n), norm_input=False, spike_fn=tools.SingleSpike
    ),
    "recurrent, no bias": lambda n: tools.LIFRecurrent(rec_connect=nn.Linear(n, n, bias=False), spike_threshold=0.5),
}
NORSE = {
    "lif box": lambda n: norse.LIFBoxCell(),
    "lif box subtract": lambda n: norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=reset_subtract)),
    "lif box own": lambda n: norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.linspace(100, 300, n)), dt=2e-3),
    "lif": lambda n: norse.LIFCell(),
    "lif v_leak": lambda n: norse.LIFCell(norse.LIFParameters(v_leak=torch.tensor(0.25), v_reset=torch.tensor(-0.125))),
    "iaf": lambda n: norse.IAFCell(norse.IAFParameters(v_reset=torch.tensor(0.25))),
}


@pytest.mark.parametrize("make", SNNTORCH.values(), ids=SNNTORCH)
def test_snntorch(make):
    assert_equal_spikes(dense(make), tool="snntorch")


@pytest.mark.parametrize("make", SPIKINGJELLY.values(), ids=SPIKINGJELLY)
def test_spikingjelly(make):
    assert_equal_spikes(dense(make), tool="spikingjelly")


@pytest.mark.parametrize("make", SINABS.values(), ids=SINABS)
def test_sinabs(make):
    assert_equal_spikes(dense(make), order="BT", tool="sinabs")


@pytest.mark.parametrize("make", NORSE.values(), ids=NORSE)
def test_norse(make):
    net = norse.SequentialState(nn.Linear(12, 16), make(16), nn.Linear(16, 5), make(5))
    assert_equal_spikes(filled(net, 5.0), tool="norse")


@pytest.mark.parametrize("last", [norse.LIBoxCell, norse.LICell, lambda: norse.LILinearCell(5, 5)])
def test_norse_readouts_with_memory(last):
    net = norse.SequentialState(nn.Linear(12, 5), norse.LIFCell(), last())
    graph = assert_equal_spikes(filled(net, 5.0))
    assert [layer.model for layer in graph.neurons if not layer.definition.spikes][-1] == "relaxing-li"


def test_norse_neurons_with_weights_of_their_own():
    net = norse.SequentialState(norse.LIFRecurrentCell(12, 16), norse.LIFRecurrentCell(16, 5))
    assert_equal_spikes(filled(net, 4.0))


def test_norse_over_whole_sequences():
    layers = (norse.Lift(nn.Conv2d(2, 4, 3)), norse.LIF(), nn.Flatten(2), nn.Linear(72, 5), norse.LIFRecurrent(5, 5))
    net = filled(norse.SequentialState(*layers), 5.0)
    graph = asnn_deploy.from_torch(net, torch.zeros(1, 1, 2, 5, 8))
    x = frames(2, 5, 8)
    trace = asnn_deploy.run(graph, x.swapaxes(0, 1))
    with torch.no_grad():
        out, _ = net(torch.from_numpy(x))
    assert np.array_equal(trace.spikes["4"], out.numpy())
    assert 0.01 < trace.spikes["4"].mean() < 0.9
    assert [layer.name for layer in graph.layers][:3] == ["0.lifted_module", "1", "2"]


def test_sinabs_leaky_integrators():
    net = nn.Sequential(nn.Linear(12, 5), tools.IAF(), nn.Linear(5, 5), tools.ExpLeak(norm_input=False))
    assert_equal_spikes(filled(net), order="BT")


def test_recurrent_sums_of_sinabs_arrive_after_the_first_step_with_their_bias():
    neurons = tools.LIFRecurrent(rec_connect=filled(nn.Linear(5, 5)), norm_input=False)
    neurons.rec_connect.bias.data += 2.0
    x = np.zeros((1, 2, 5), np.float32)
    trace = asnn_deploy.run(asnn_deploy.from_torch(neurons, torch.zeros(1, 1, 5)), x)
    assert not trace.spikes["LIFRecurrent"][0].any()
    assert (trace.spikes["LIFRecurrent"][1] == 2).any()


MAPS = {
    "average": nn.AvgPool2d(2),
    "largest": nn.MaxPool2d(2, 1, 1),
    "sum": tools.SumPool2d((2, 1)),
    "adaptive": nn.AdaptiveAvgPool2d((3, 4)),
}


@pytest.mark.parametrize("pool", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("kernel", [(3, 3), (1, 2)])
def test_maps(pool, kernel):
    """Convolutions of any kernel, groups and padding, batch norm, pooling and flattening."""
    neurons = lambda: tools.Leaky(0.5, torch.linspace(0.5, 1, 4).reshape(4, 1, 1))
    stem = nn.Sequential(nn.Conv2d(2, 4, kernel, padding="same", bias=False), nn.BatchNorm2d(4), neurons(), pool)
    groups = nn.Conv2d(4, 4, 2, stride=(2, 1), groups=2, padding="valid", dilation=(1, 2))
    head = (nn.Dropout(0.5), nn.Identity(), nn.Flatten(), nn.LazyLinear(6), nn.BatchNorm1d(6, affine=False))
    net = nn.Sequential(stem, groups, neurons(), *head, tools.Leaky(0.5))
    with torch.no_grad():
        net.eval()(torch.zeros(1, 2, 6, 8))
    for module in net.modules():
        if isinstance(module, tools.Leaky):
            module.mem = torch.tensor(0.0)
    graph = assert_equal_spikes(filled(net), (2, 6, 8))
    assert {"0.0", "0.2", "0.3", "1"} <= set(graph.by_name)


def test_a_parameter_meets_a_signal_as_torch_broadcasts():
    """One number for each column is not one for each channel, though there are as many."""
    net = filled(nn.Sequential(nn.Conv2d(1, 4, 3), tools.Leaky(0.5, torch.linspace(0.3, 2, 4))))
    assert_equal_spikes(net, (1, 6, 6))


def test_axes_are_split_and_joined():
    layers = (nn.Unflatten(1, (3, -1)), nn.Conv1d(3, 4, 3, padding=1), tools.IFNode(), nn.Flatten(-2), tools.IFNode())
    assert_equal_spikes(filled(nn.Sequential(*layers)))
    volume = nn.Sequential(nn.Flatten(2), nn.Conv1d(2, 4, 3), tools.IFNode())
    assert asnn_deploy.from_torch(volume, torch.zeros(1, 2, 3, 4)).shapes["0"] == (2, 12)


def test_spikingjelly_over_whole_sequences():
    first = tools.Conv2d(2, 4, 3)
    first.step_mode = "m"
    head = tools.SeqToANNContainer(nn.Flatten(), nn.Linear(72, 5))
    neurons = [tools.LIFNode(tau=2.0, decay_input=True, step_mode="m") for _ in range(2)]
    assert_equal_spikes(filled(nn.Sequential(first, neurons[0], head, neurons[1])), (2, 5, 8), "TB")


def test_sinabs_repeats_what_knows_no_time():
    net = nn.Sequential(tools.Repeat(nn.Conv2d(2, 4, 3)), tools.IAF(), nn.Flatten(2), nn.Linear(72, 5), tools.IAF())
    assert_equal_spikes(filled(net), (2, 5, 8), "BT")


def test_graded_spikes_are_scaled():
    net = filled(nn.Sequential(nn.Linear(12, 5), tools.Leaky(0.5, graded_spikes_factor=torch.tensor(0.5))))
    x = frames(12)
    graph = asnn_deploy.from_torch(net, torch.zeros(1, 12))
    sent = recorded(net, x, "step")["1"]
    assert np.array_equal(asnn_deploy.run(graph, x.swapaxes(0, 1)).logits, sent.sum(axis=0))
    assert graph.by_name["1_graded"].factor.values.tolist() == [0.5]


def test_the_graph_says_whose_rules_it_keeps():
    norse_graph = asnn_deploy.from_torch(
        norse.SequentialState(nn.Linear(3, 2), norse.LIFBoxCell(dt=2e-3)), torch.zeros(7, 3)
    )
    assert (norse_graph.meaning.tool, norse_graph.meaning.dt, norse_graph.dt) == ("norse", 2e-3, 2e-3)
    assert (norse_graph.meaning.taus, norse_graph.meaning.start, norse_graph.any_length) == ("as written", "leak", True)
    mixed = nn.Sequential(tools.Leaky(0.5, reset_mechanism="zero"), SNNTORCH["synaptic zero"](3))
    said = asnn_deploy.from_torch(mixed, torch.zeros(1, 3)).meaning
    assert (said.tool, said.reset, said.feedback_reset, said.fires) == ("snntorch", "zero", "delayed-zero", "above")
    bounded = asnn_deploy.from_torch(tools.IAF(min_v_mem=-1.0), torch.zeros(1, 1, 3)).meaning
    assert (bounded.spikes, bounded.minimum, bounded.update, bounded.dt) == ("many", -1.0, "added", 1.0)


def test_parameters_are_the_modules_own():
    """The numbers themselves, not through a time constant, and as few of them as there are."""
    beta = 0.9
    (leaky,) = asnn_deploy.from_torch(tools.Leaky(beta), torch.zeros(1, 3)).neurons
    assert leaky.parameters["leak"].values.tolist() == [np.float32(beta)]
    channels = tools.Leaky(torch.full((4, 1, 1), beta))
    assert asnn_deploy.from_torch(channels, torch.zeros(1, 4, 5, 5)).neurons[0].parameters["leak"].shape == ()


def test_names_are_the_paths_of_the_modules():
    net = nn.Sequential()
    net.add_module("output", nn.Linear(3, 2))
    net.add_module("spikes α", tools.IFNode())
    graph = asnn_deploy.from_torch(net, np.zeros((1, 3)))
    assert [layer.name for layer in graph.layers] == ["output_2", "spikes__", "output"]


def refused(*layers):
    return nn.Sequential(nn.Linear(4, 3), *layers)


class Net(nn.Module):
    """A user's own forward."""


class Noisy(tools.Leaky):
    def base(self, x):
        return super().base(x) + torch.rand(3)


class Renamed(tools.Leaky):
    """Computes as its base does."""


def changed(module, **attributes):
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


HOOKED = nn.Linear(3, 3)
HOOKED.register_forward_pre_hook(lambda module, inputs: None)
SHARED = tools.Leaky(0.5)
WIDE = nn.Linear(3, 3).double()
REFUSED = {
    "a user's class": (Net, r"the network \(.*test_from_torch.Net\) .*put its layers into a torch.nn.Sequential"),
    "a class of torch": (
        lambda: refused(nn.ReLU()),
        r"'1' \(torch.nn.modules.activation.ReLU\) .*deployable of torch.nn",
    ),
    "a class of a tool": (lambda: refused(tools.Alpha(0.5)), r"'1' \(snntorch._neurons.alpha.Alpha\) .*Leaky, RLeaky"),
    "adaptive thresholds": (lambda: nn.Sequential(tools.ALIF()), r"sinabs.layers.alif.ALIF.*deployable of sinabs"),
    "a deeper path": (lambda: refused(nn.Sequential(nn.Tanh())), r"module '1.0' \("),
    "other arithmetic": (lambda: refused(Noisy(0.5)), r"defines base\(\) itself, so it need not compute as Leaky"),
    "other convolutions": (lambda: nn.Sequential(tools.WSConv2d(4, 3, 1)), r"defines _conv_forward\(\) itself"),
    "a hook": (lambda: refused(HOOKED), "forward pre-hook"),
    "inhibition": (lambda: refused(tools.Leaky(0.5, inhibition=True)), "its inhibition has no deployable"),
    "quantised states": (lambda: refused(tools.Leaky(0.5, state_quant=torch.round)), "its state_quant has no deploy"),
    "another surrogate": (
        lambda: refused(tools.Leaky(0.5, spike_grad=torch.tanh)),
        "its spike_grad sends .* not 0 and 1",
    ),
    "two resets": (lambda: refused(changed(tools.Leaky(0.5), state_function=Renamed.at_next)), "state_function is"),
    "what snnTorch cannot run": (
        lambda: refused(tools.RSynaptic(0.5, alpha=0.5, reset_delay=False)),
        "snnTorch itself cannot run it",
    ),
    "graded feedback": (
        lambda: refused(tools.RLeaky(0.5, graded_spikes_factor=torch.tensor(0.5))),
        "graded_spikes_factor is not 1, and it reads its own",
    ),
    "a negative threshold": (lambda: refused(tools.Leaky(0.5, -1.0, reset_delay=False)), "threshold is negative"),
    "a shape": (
        lambda: refused(tools.Leaky(torch.ones(4))),
        r"its leak has shape \(4,\), what it reads has shape \(3,\)",
    ),
    "NaN": (lambda: refused(tools.Leaky(float("nan"))), "its leak holds NaN"),
    "a state twice": (lambda: refused(SHARED, nn.Linear(3, 3), SHARED), "'3' .* it is also module '1'"),
    "float64": (lambda: refused(WIDE), r"its bias is in float64; call .float\(\)"),
    "a soft spike": (lambda: refused(changed(tools.IFNode(), surrogate_function=torch.sigmoid)), "surrogate_function"),
    "at most three spikes": (
        lambda: refused(tools.IAF(spike_fn=tools.MaxSpike(3))),
        "MaxSpike with max_num_spikes_per_bin 3; deployable: MultiSpike",
    ),
    "a value for all": (
        lambda: refused(tools.IAF(reset_fn=tools.MembraneReset(0.5))),
        "reset_value is 0.5, which Sinabs adds to every membrane potential",
    ),
    "another drop": (
        lambda: refused(tools.IAF(reset_fn=tools.MembraneSubtract(0.5))),
        "subtract_value is 0.5; only its",
    ),
    "an own reset": (lambda: refused(tools.IAF(reset_fn=print)), "its reset_fn is print"),
    "a bounded integrator": (lambda: refused(tools.ExpLeak(min_v_mem=-1.0)), "bounds a membrane that never fires"),
    "another step": (lambda: refused(changed(norse.LIFCell(), activation=torch.add)), "it computes torch.add, not"),
    "a reset of Norse": (
        lambda: refused(norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=torch.where))),
        "its reset_method is where",
    ),
    "a refractory period": (lambda: refused(norse.LIFRefracCell()), "LIFRefracCell.*deployable of norse.torch"),
    "one step and all": (lambda: refused(norse.LIFCell(), norse.LIF()), "module '1' takes one step.* module '2' whole"),
    "batch norm alone": (lambda: nn.Sequential(tools.IFNode(), nn.BatchNorm1d(4)), "directly before it"),
    "no statistics": (lambda: refused(nn.BatchNorm1d(3, track_running_stats=False)), "no running statistics"),
    "an axis of the batch": (lambda: refused(nn.Flatten(0)), "start_dim 0 and end_dim -1 do not fit 1 leading axis"),
    "time as channels": (lambda: nn.Sequential(nn.Conv2d(4, 3, 1), norse.LIF()), "called on whole sequences"),
    "padding": (lambda: nn.Sequential(nn.Conv1d(4, 3, 1, padding_mode="circular")), "padding_mode is 'circular'"),
    "norms": (lambda: nn.Sequential(nn.LPPool2d(2, 2)), "only norm_type 1"),
    "a diverged weight": (
        lambda: changed(nn.Linear(4, 3), bias=nn.Parameter(torch.full((3,), torch.nan))),
        "holds NaN",
    ),
    "a matrix too wide": (lambda: nn.Sequential(nn.Linear(5, 3)), r"'0' .*weight \(3, 5\) cannot read"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals_name_path_and_type_on_one_line(make, message):
    net = make()
    sequences = any(isinstance(module, tools.LIF) or type(module) is norse.LIF for module in net.modules())
    with pytest.raises(LoweringError, match=message) as caught:
        asnn_deploy.from_torch(net, torch.zeros(*((1, 1) if sequences else (1,)), 4))
    assert "\n" not in str(caught.value)


def test_a_subclass_that_changes_nothing_is_its_base():
    assert asnn_deploy.from_torch(Renamed(0.5), torch.zeros(1, 3)).neurons[0].reset == "delayed-subtract"


@pytest.mark.parametrize(
    ("pool", "shape", "message"),
    [
        (nn.AvgPool2d(2, ceil_mode=True), (1, 1, 4, 4), "ceil_mode"),
        (nn.AvgPool2d(2, count_include_pad=False), (1, 1, 4, 4), "count_include_pad"),
        (nn.MaxPool2d(2, padding=1), (1, 1, 4, 4), "pads currents with minus infinity"),
        (nn.AdaptiveAvgPool2d(3), (1, 1, 4, 4), "does not divide"),
        (nn.Linear(16, 3), (1, 1, 4, 4), r"it takes \(16,\), which a Flatten makes of it"),
        (nn.Unflatten(1, (2, 2)), (1, 3), "does not hold"),
    ],
)
def test_refusals_of_shapes(pool, shape, message):
    with pytest.raises(LoweringError, match=message):
        asnn_deploy.from_torch(nn.Sequential(pool), torch.zeros(shape))


def test_an_example_or_a_tool_that_does_not_fit_is_refused():
    leaky = tools.Leaky(0.5)
    with pytest.raises(InputError, match=r"example has shape \[3\]; the network is called on \[B, ...\]"):
        asnn_deploy.from_torch(leaky, torch.zeros(3))
    with pytest.raises(InputError, match=r"example has shape \[1, 3\]; .*\[T, B, ...\]"):
        asnn_deploy.from_torch(tools.IAF(), torch.zeros(1, 3))
    with pytest.raises(InputError, match="tool 'sinabs': the network has modules of snntorch"):
        asnn_deploy.from_torch(leaky, torch.zeros(1, 3), tool="sinabs")
    with pytest.raises(InputError, match="tool 'brian': .*snntorch, norse, spikingjelly, sinabs"):
        asnn_deploy.from_torch(leaky, torch.zeros(1, 3), tool="brian")


def test_two_tools_in_one_network_keep_their_own_rules():
    graph = assert_equal_spikes(
        filled(nn.Sequential(nn.Linear(12, 9), tools.Leaky(0.5), nn.Linear(9, 5), tools.IFNode()))
    )
    assert [(layer.reset, layer.comparison) for layer in graph.neurons] == [
        ("delayed-subtract", "above"),
        ("zero", "at"),
    ]
    assert graph.meaning.tool is None
    assert graph.meaning.nodes == (("3", "reset", "zero"), ("3", "fires", "at"))
