"""The networks of the tests, all small.

making: what they are made of (weights, tables, neurons, links) and what they are given.
lenet: one network in every coding and granularity, and a static one that Loihi's own neurons can carry.
features: a network for each kind of layer, table, edge and neuron that a graph may have.
attention: the two of those that multiply signals.
formats: networks that between them use everything the NIR exporter can write.
placed: networks of the kinds that a placement on a chip treats differently.
drawn: strategies; Hypothesis draws networks piece by piece (drawing), so that a failing one shrinks.
"""
