"""Networks of Loihi's own neurons and synapses, for hardware and Lava Processes that cannot be programmed."""
