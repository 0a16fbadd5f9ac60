"""The compiled kernels, one sample at a time, while its state is cached.

advance.py     a unit: synapses, neurons, pooling, for some steps
synapses.py    events: only what is there costs
lif.py         LIF neurons
machine.py     neurons of any other model: a register machine that runs their program
pooling.py     sums and maxima of spikes
records.py     what all of them read, by field

Additions are exact (integers, or floats on an order-free grid), so their order is free. What is computed here is
defined elsewhere and tested equal to it: synapses and pooling in `dense.py`, neurons in `ir/neurons/`. `g` is always a
`Geometry`; other arguments are flat arrays or `[steps, samples, :]`. A call that takes arrays counts references, so
kernels call others once for a whole sample or block.
"""
