"""Stand-ins for modules of snnTorch, SpikingJelly and Sinabs, which are not installed here: their names, the paths of
their modules, the attributes that `from_torch` reads, and a step of their arithmetic as their sources write it.

They keep their state between calls, as the tools' modules do. `conformance/torch_modules.py` is held against the tools.
"""

import torch
from torch import nn


def standing_in(path):
    """A class decorator: the class says that it is in that module."""

    def named(cls):
        cls.__module__, cls.__qualname__ = path, cls.__name__
        return cls

    return named


def above(x):
    return (x > 0).float()


def at(x):
    return (x >= 0).float()


class SpikingNeuron(nn.Module):
    """snnTorch's neurons: `reset_delay`, three resets, a factor on spikes."""

    def __init__(self, beta, threshold=1.0, reset_mechanism="subtract", reset_delay=True, **others):
        super().__init__()
        self.register_buffer("beta", torch.as_tensor(beta))
        self.register_buffer("threshold", torch.as_tensor(threshold))
        self.reset_mechanism, self.reset_delay, self.spike_grad = reset_mechanism, reset_delay, above
        self.inhibition = self.state_quant = False
        self.graded_spikes_factor = torch.tensor(1.0)
        self.mem = self.syn = self.spk = torch.tensor(0.0)
        for name, value in others.items():
            setattr(self, name, value)

    def base(self, x):
        return self.beta.clamp(0, 1) * self.mem + x

    def at_next(self, x, reset):
        v = self.base(x)
        return v - reset * v

    def forward(self, x):
        reset = above(self.mem - self.threshold)
        if self.reset_mechanism == "subtract":
            self.mem = self.base(x) - reset * self.threshold
        elif self.reset_mechanism == "zero":
            self.mem = self.at_next(x, reset)
        else:
            self.mem = self.base(x)
        self.spk = above(self.mem - self.threshold) * self.graded_spikes_factor
        if not self.reset_delay and self.reset_mechanism != "none":
            left = self.spk / self.graded_spikes_factor - reset
            self.mem = self.mem - left * (self.threshold if self.reset_mechanism == "subtract" else self.mem)
        return self.spk


@standing_in("snntorch._neurons.leaky")
class Leaky(SpikingNeuron):
    def at_next(self, x, reset):
        self.mem = (1 - reset) * self.mem
        return self.base(x)


@standing_in("snntorch._neurons.synaptic")
class Synaptic(SpikingNeuron):
    def base(self, x):
        self.syn = self.alpha.clamp(0, 1) * self.syn + x
        return super().base(self.syn)


class OneToOne(nn.Module):
    def __init__(self, V):
        super().__init__()
        self.V = V

    def forward(self, x):
        return x * self.V


@standing_in("snntorch._neurons.rleaky")
class RLeaky(SpikingNeuron):
    def base(self, x):
        return self.beta.clamp(0, 1) * self.mem + x + self.recurrent(self.spk + torch.zeros_like(x))


@standing_in("snntorch._neurons.rsynaptic")
class RSynaptic(RLeaky):
    def base(self, x):
        self.syn = self.alpha.clamp(0, 1) * self.syn + x + self.recurrent(self.spk + torch.zeros_like(x))
        return self.beta.clamp(0, 1) * self.mem + self.syn


@standing_in("snntorch._neurons.alpha")
class Alpha(SpikingNeuron):
    pass


NODES = "spikingjelly.activation_based.neuron"


class Node(nn.Module):
    """SpikingJelly's neurons."""

    def __init__(self, v_threshold=1.0, v_reset=0.0, step_mode="s", **others):
        super().__init__()
        self.v_threshold, self.v_reset, self.step_mode, self.surrogate_function = v_threshold, v_reset, step_mode, at
        self.v, self.c = torch.tensor(0.0 if v_reset is None else v_reset), torch.tensor(0.0)
        for name, value in others.items():
            setattr(self, name, value)

    def forward(self, x):
        return torch.stack([self.step(frame) for frame in x]) if self.step_mode == "m" else self.step(x)

    def step(self, x):
        v = self.charge(x, self.v, 0.0 if self.v_reset is None else self.v_reset)
        spike = self.surrogate_function(v - self.v_threshold)
        self.v = v - spike * self.v_threshold if self.v_reset is None else spike * self.v_reset + (1.0 - spike) * v
        return spike


@standing_in(f"{NODES}.integrate_and_fire")
class IFNode(Node):
    def charge(self, x, v, reset):
        return v + x


@standing_in(f"{NODES}.lif")
class LIFNode(Node):
    def charge(self, x, v, reset):
        return v + (x - (v - reset)) / self.tau if self.decay_input else v - (v - reset) / self.tau + x


@standing_in(f"{NODES}.plif")
class ParametricLIFNode(Node):
    def charge(self, x, v, reset):
        q = self.w.sigmoid()
        return v + (x - (v - reset)) * q if self.decay_input else v - (v - reset) * q + x


@standing_in(f"{NODES}.lif_variants")
class CUBALIFNode(Node):
    def charge(self, x, v, reset):
        self.c = self.c * self.c_decay + x
        return v * self.v_decay + self.c


@standing_in("spikingjelly.activation_based.layer.stateless_wrapper")
class Conv2d(nn.Conv2d):
    step_mode = "s"

    def forward(self, x):
        return (
            super().forward(x) if self.step_mode == "s" else super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        )


@standing_in("spikingjelly.activation_based.layer.stateless_wrapper")
class WSConv2d(Conv2d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight - weight.mean(), bias)


@standing_in("spikingjelly.activation_based.layer.container")
class SeqToANNContainer(nn.Sequential):
    def forward(self, x):
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class MultiSpike:
    @staticmethod
    def apply(v, threshold):
        return (v > 0) * torch.div(v, threshold, rounding_mode="trunc").float()


class SingleSpike:
    @staticmethod
    def apply(v, threshold):
        return (v - threshold >= 0).float()


class MaxSpike:
    def __init__(self, most):
        self.max_num_spikes_per_bin = most

    def apply(self, v, threshold):
        return MultiSpike.apply(v, threshold).clamp(max=self.max_num_spikes_per_bin)


class MembraneSubtract:
    def __init__(self, subtract_value=None):
        self.subtract_value = subtract_value

    def __call__(self, spikes, v, threshold):
        return v - spikes * (threshold if self.subtract_value is None else self.subtract_value)


class MembraneReset:
    def __init__(self, reset_value=0.0):
        self.reset_value = reset_value

    def __call__(self, spikes, v, threshold):
        return v * (spikes == 0).float() + self.reset_value


@standing_in("sinabs.layers.lif")
class LIF(nn.Module):
    """Sinabs' neurons, called on [B, T, ...]."""

    def __init__(self, tau_mem=6.0, tau_syn=None, norm_input=True, min_v_mem=None, spike_threshold=1.0, **others):
        super().__init__()
        self.tau_mem, self.tau_syn = tau_mem, tau_syn
        self.norm_input, self.spike_fn, self.reset_fn = norm_input, MultiSpike, MembraneSubtract()
        self.min_v_mem = None if min_v_mem is None else torch.tensor(min_v_mem)
        self.spike_threshold = torch.as_tensor(spike_threshold)
        for name, value in others.items():
            setattr(self, name, value)

    @property
    def alpha_mem_calculated(self):
        return torch.exp(-1.0 / torch.as_tensor(self.tau_mem))

    @property
    def alpha_syn_calculated(self):
        return None if self.tau_syn is None else torch.exp(-1.0 / torch.as_tensor(self.tau_syn))

    def forward(self, data):
        alpha, current, sent = self.alpha_mem_calculated, self.alpha_syn_calculated, []
        i = v = torch.zeros_like(data[:, 0])
        back = torch.zeros_like(v)
        for x in data.unbind(1):
            x = x + back
            i = x if current is None else current * (i + x)
            v = alpha * v + ((1 - alpha) * i if self.norm_input else i)
            spikes = v if self.spike_fn is None else self.spike_fn.apply(v, self.spike_threshold)
            v = v if self.spike_fn is None else self.reset_fn(spikes, v, self.spike_threshold)
            if self.min_v_mem is not None:
                v = nn.functional.relu(v - self.min_v_mem) + self.min_v_mem
            back = self.fed_back(spikes)
            sent.append(spikes)
        return torch.stack(sent, 1)

    def fed_back(self, spikes):
        return torch.zeros_like(spikes)


@standing_in("sinabs.layers.lif")
class LIFRecurrent(LIF):
    def fed_back(self, spikes):
        return self.rec_connect(spikes).reshape(spikes.shape)


@standing_in("sinabs.layers.iaf")
class IAF(LIF):
    def __init__(self, **options):
        super().__init__(**options, tau_mem=None, norm_input=False)

    @property
    def alpha_mem_calculated(self):
        return torch.tensor(1.0)


@standing_in("sinabs.layers.exp_leak")
class ExpLeak(LIF):
    def __init__(self, **options):
        super().__init__(**options)
        self.spike_fn = self.reset_fn = None


@standing_in("sinabs.layers.alif")
class ALIF(nn.Module):
    pass


@standing_in("sinabs.layers.reshape")
class Repeat(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


@standing_in("sinabs.layers.pool2d")
class SumPool2d(nn.LPPool2d):
    def __init__(self, kernel_size):
        super().__init__(1, kernel_size)
