"""Spike by spike: where two runs of a network part."""
