"""What the kernels read, by field: layers as arrays and numbers. `layout.py` and `neurons.py` make them."""

from __future__ import annotations

from typing import NamedTuple

from asnn_deploy.util.arrays import Array

BLOCK = 256
"""Neurons that a program computes at a time, at most: its registers stay in the nearest cache."""
SPACE = BLOCK + 32
"""Numbers from one register to the next: no power of two, or registers would meet in the same lines of that cache."""
NO, SATURATE, WRAP = range(3)
"""How an integer register is limited: not at all, at both ends, or by what leaves it coming in at the other end."""
SUBTRACT, CLEAR = 1, 2
"""What firing does to a membrane; NO if nothing fires."""
PADDED_TO = 32
"""Runs of weights are padded with zeros to a multiple of so many: whole vector registers, at 8 or 16 bits each."""


class Geometry(NamedTuple):
    """A convolution (or, as one of a 1x1 image, a linear map) as runs of weights. All sizes in elements.

    A run goes through `taps` neighbouring outputs: with stride and dilation 1 and no groups a whole kernel row, else
    one tap. `left` columns stand before an accumulator row's first output, so that rows need no borders.
    """

    height: int
    width: int
    channels: int
    groups: int
    kernel_height: int
    kernel_width: int
    taps: int
    run: int
    outputs: int
    out_height: int
    out_width: int
    left: int
    pitch: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    dilation_y: int
    dilation_x: int

    @property
    def accumulators(self) -> int:
        """Length of the accumulator of one sample, with room for a run's padding."""
        return self.out_height * self.pitch + PADDED_TO

    @property
    def weights(self) -> int:
        """Length of one weight table."""
        return self.channels * self.kernel_height * (self.kernel_width // self.taps) * self.run


class Events(NamedTuple):
    """Synapses for some steps.

    graded: whether inputs other than 0 and 1 may arrive. weights: all tables, flat; tables `[steps]`: where the one in
    force begins. bias: the accumulators as each step begins with them, `[steps, accumulators]`, or of length 0.
    accumulators: room for one sample's.
    """

    graded: bool
    weights: Array
    tables: Array
    geometry: Geometry
    bias: Array
    accumulators: Array


class Window(NamedTuple):
    """A pooling: counts of spikes (`sums`) or their OR; its result is `out_height` by `out_width`."""

    sums: bool
    kernel_y: int
    kernel_x: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    out_height: int
    out_width: int


class LIF(NamedTuple):
    """LIF neurons: parameters `[T, neurons]`, or `[T, a row]` with pitch 0; each row reads `pitch` further.

    shift `[T]`: of the gain, in integers.
    """

    leak: Array
    gain: Array
    threshold: Array
    bias: Array
    shift: Array
    pitch: int
    to_zero: bool


class Machine(NamedTuple):
    """Neurons of any model: a program, as `assembler.py` makes it, and the memory that it runs in.

    code `[instructions, 10]`: limit, reset, and the registers of the result, of `a * b + c * d + e`, of the threshold,
    and of the spikes. kept: the registers that become the states; sent: the one that holds the spikes, -1 if it sends
    none. memory: float32, or float64 for integers (`whole`). SPACE numbers for each register, then, from `tables` on,
    the parameters `[T, parameters, stride]`: each row of neurons reads `pitch` further, and in it each block of `block`
    neurons `along` times as many numbers further.
    addresses: where each register is. Registers: the input, the states, the parameters, all others.
    """

    code: Array
    kept: Array
    sent: int
    memory: Array
    addresses: Array
    tables: int
    parameters: int
    stride: int
    pitch: int
    along: int
    block: int
    whole: bool
