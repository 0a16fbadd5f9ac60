"""`run`: a network on one target."""

from __future__ import annotations

from asnn_deploy.api.network import DEFAULT_BATCH, Network, Samples, check_count, check_type, data_of, opened, taken
from asnn_deploy.deploy.registry import TARGETS
from asnn_deploy.ir.trace import Record, Trace
from asnn_deploy.util.progress import batches, phase


def run(
    net: Network,
    images: Samples,
    target: str = "reference",
    batch_size: int = DEFAULT_BATCH,
    potentials: bool = False,
) -> Trace:
    """Run images `[N, H, W]` or `[N, H, W, C]`, uint8 or float 0..1, on a target; for a network that takes sequences,
    frames `[N, T, ...]`; or a data set, by its name ("folder:DIR") or loaded, of which the test split is run.

    net: as `load` returns it, or the path of a run folder, a bundle or a .nir file.
    Returns a Trace with `logits [N, classes]` and `spikes[layer] [T, N, ...]`; with `potentials`, also the membrane
    potentials where the target gives them. Raises AsnnDeployError.
    """
    check_type(target, str, "target", "a target's name")
    check_count(batch_size, "batch_size")
    chosen = TARGETS.available(target)
    record = Record(spikes=True, potentials=potentials)
    with opened(net) as source:
        samples = taken(source, data_of(source, images), allow_empty=True).images
        batch_size = min(batch_size, max(len(samples), 1))
        with phase(f"load {target}"):
            session = chosen.open(source.deployment, batch_size)
        with session:
            cuts = batches(max(len(samples), 1), batch_size, target)
            return Trace.concatenate([session.run(samples[cut], record) for cut in cuts])
