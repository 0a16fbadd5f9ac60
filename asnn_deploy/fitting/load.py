"""What a core holds: the synapses that end at its neurons, their states and parameters, and its axons.

Everything follows from the block of neurons and the windows of the projections; `docs/fit.md` has the rules in words.
"""

from __future__ import annotations

from dataclasses import dataclass

from asnn_deploy.fitting.chip import Chip, Lists, PopulationAxons
from asnn_deploy.fitting.network import Block, Geometry, Network, Population, Projection


@dataclass(frozen=True)
class Load:
    """One core's content.

    neurons; synapse_bits: its synapses, list headers and padding included; parameter_bits: of its neurons' parameters;
    state_bits: states and accumulators; axons_in, axons_out: entries of its two tables.
    """

    neurons: int
    synapse_bits: int
    parameter_bits: int
    state_bits: int
    axons_in: int
    axons_out: int
    axon_bits: int

    @property
    def synapse_bytes(self) -> int:
        """Whole bytes of synapses."""
        return -(-self.synapse_bits // 8)

    @property
    def core_bytes(self) -> int:
        """Whole bytes of everything."""
        return -(-(self.synapse_bits + self.parameter_bits + self.state_bits + self.axon_bits) // 8)


def core_load(chip: Chip, network: Network, population: Population, block: Block, axons_out: int) -> Load:
    """What a core with this block of a population holds, if its neurons have so many outgoing entries."""
    sizes = extent(block)
    neurons = sizes[0] * sizes[1] * sizes[2]
    stored: set[tuple[object, ...]] = set()
    synapses = incoming = 0
    for projection in population.projections:
        incoming += axons_in(chip, projection, block)
        if chip.storage.sharing == "none" or projection.store not in stored:
            stored.add(projection.store)
            synapses += synapse_bits(chip, projection, block, network.weight_bits, neurons)
    storage = chip.storage
    return Load(
        neurons=neurons,
        synapse_bits=synapses,
        parameter_bits=sum(table.stored_bits(sizes) for table in population.tables),
        state_bits=neurons * (population.states * storage.state.value + storage.accumulator.value),
        axons_in=incoming,
        axons_out=axons_out,
        axon_bits=(incoming + axons_out) * storage.axon.value,
    )


def extent(block: Block) -> Geometry:
    """Channels, rows and columns of a block."""
    (a, b), (c, d), (e, f) = block
    return (b - a, d - c, f - e)


def axons_in(chip: Chip, projection: Projection, block: Block) -> int:
    """Entries of the table of incoming axons: one for each source neuron that reaches the block, or for each position
    where an axon carries the channel; one for each of the K weights that hold at different steps."""
    channels, rows, cols = block
    positions = projection.rows.reach(*rows).inputs * projection.cols.reach(*cols).inputs
    reached = sum(projection.overlaps(*channels).values())
    axons = population_axons(chip, projection)
    return positions * projection.tables * (reached if axons is None else -(-reached // axons.channels))


def population_axons(chip: Chip, projection: Projection) -> PopulationAxons | None:
    """The kind of axons that stand for a position while the spike tells the channel, where the projection uses them:
    convolutions do, and linear layers with more inputs than a core has axons."""
    limit = chip.limits.axons_in
    sources = projection.inputs * projection.rows.inputs * projection.cols.inputs * projection.tables
    return None if projection.dense and (limit is None or sources <= limit.value) else chip.storage.population_axons


def slots_out(chip: Chip, projection: Projection) -> int:
    """Entries of the table of outgoing axons for each core that a source (neuron or position) reaches."""
    axons = population_axons(chip, projection)
    wide = axons is not None and projection.inputs > axons.narrow
    return projection.tables * (axons.wide_slots if axons is not None and wide else 1)


def synapse_bits(chip: Chip, projection: Projection, block: Block, weight_bits: int, neurons: int) -> int:
    """Bits of one projection's synapses in a core of so many neurons."""
    channels, rows, cols = block
    overlaps = projection.overlaps(*channels)
    bits = 1 if projection.unit else weight_bits
    by_row, by_col = projection.rows.reach(*rows), projection.cols.reach(*cols)
    if not by_row.inputs or not by_col.inputs:
        return 0  # they read padding only
    if chip.storage.sharing == "kernels":
        kernel = projection.rows.kernel * projection.cols.kernel
        return projection.tables * kernel * bits * sum(size * number for size, number in overlaps.items())
    lists = chip.storage.lists
    assert lists is not None, "the chip's schema asks for lists"
    implied = projection.dense and population_axons(chip, projection) is None
    width = synapse_width(lists, bits, 0 if implied else neurons, projection.steps_late)
    shared = chip.storage.sharing == "lists"
    total = 0
    for row_hits, row_count in by_row.distinct if shared else by_row.each:
        for col_hits, col_count in by_col.distinct if shared else by_col.each:
            for size, number in overlaps.items():
                total += row_count * col_count * number * list_bits(lists, row_hits * col_hits * size, width)
    return projection.tables * total


def synapse_width(lists: Lists, weight_bits: int, targets: int, steps_late: int) -> int:
    """Bits of one synapse in a list: weight, target among so many (0: implied by the order), delay where there is."""
    weight = _at_least(lists.weight_widths, weight_bits)
    target = _at_least(lists.index_widths, (targets - 1).bit_length()) if targets else 0
    return weight + target + steps_late.bit_length()


def _at_least(widths: tuple[int, ...], bits: int) -> int:
    """The narrowest width there is for so many bits; the bits themselves where none is wide enough."""
    return next((width for width in widths if width >= bits), bits)


def list_bits(lists: Lists, synapses: int, width: int) -> int:
    """Bits of a list of synapses: blocks with a header each, each in whole words."""
    full, rest = divmod(synapses, lists.synapses)
    return full * _words(lists, lists.synapses * width) + (_words(lists, rest * width) if rest else 0)


def _words(lists: Lists, bits: int) -> int:
    return -(-(bits + lists.header) // lists.word) * lists.word
