"""Running graphs: layers as units, compiled and fused where they can be, else step by step in NumPy.

runner.py      a whole data set: batches on all cores
executor.py    one batch: the units, one after another, and what is recorded of them
early_exit.py  when an answer is certain enough to stop
encoder.py     images to frames
units.py       which layers become one unit; units that run in NumPy
steppers.py    layers in NumPy, step by step: the oracle
dense.py       products and pooling in NumPy
compiled.py    synapses as a compiled unit
population.py  neurons as a compiled unit, with the synapses before and the pooling behind them
choice.py      events or dense products, whichever is measured to be faster
registers.py   which types hold every intermediate exactly; NotCompilable if none does
layout.py      how layers lie in memory
neurons.py     neurons as the kernels take them: LIF, or a program
assembler.py   a neuron's program as the kernels' instructions
kernels/       what is compiled
compiler.py    how it is compiled, and kept on disk
signals.py     the types in which signals travel
"""
