"""Kernels that compute one layer for one time step: what the executors and the Lava models both call."""
