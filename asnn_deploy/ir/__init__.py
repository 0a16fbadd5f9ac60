"""The network as data: step tables, layers, the graph, neurons, what a run leaves behind."""
