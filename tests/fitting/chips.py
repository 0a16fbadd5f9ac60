"""Small chips for tests."""

from asnn_deploy.fitting import Chip

UNITS = {
    "cores": "cores",
    "neurons": "neurons",
    "synapse_memory": "bytes",
    "core_memory": "bytes",
    "axons_in": "axons",
    "axons_out": "axons",
    "fan_in": "synapses",
    "fan_out": "synapses",
    "payload_bits": "bits",
    "delay": "steps",
    "step_values": "values",
}


def chip(sharing="lists", population=None, resets=("subtract", "zero"), weight_bits=(1, 8), **limits):
    """A chip with these limits; 64 cores of 100 neurons and values of 8 bits where nothing is said."""
    said = {"cores": 64, "neurons": 100, "payload_bits": 8} | limits
    values = {key: {"value": value, "unit": UNITS[key], "source": "a test"} for key, value in said.items()}
    low, high = weight_bits
    values["weight_bits"] = {"min": low, "max": high, "unit": "bits", "source": "a test"}
    lists = {
        "word": 32,
        "header": 5,
        "synapses": 6,
        "weight_widths": [1, 2, 4, 8],
        "index_widths": [3, 5, 8],
        "unit": "bits",
    }
    width = lambda bits: {"value": bits, "unit": "bits", "source": "a test"}
    storage = {
        "sharing": sharing,
        "lists": lists | {"source": "a test"},
        "state": width(24),
        "accumulator": width(16),
        "axon": width(12),
    }
    if population is not None:
        storage["population_axons"] = population | {"source": "a test"}
    return Chip(name="small", title="Small", source="a test", resets=resets, limits=values, storage=storage)
