"""`fit`: a network on a chip's cores."""

from __future__ import annotations

import os
import warnings

from asnn_deploy.api.network import Network, check_count, check_type, opened
from asnn_deploy.errors import DeployNote, GraphError
from asnn_deploy.fitting.chip import Chip, load_chip
from asnn_deploy.fitting.verdict import Fit
from asnn_deploy.fitting.verdict import fit as placed


def fit(net: Network, chip: Chip | str | os.PathLike[str], chips: int = 1) -> Fit:
    """Place a network on a chip's cores.

    chip: a chip's name ("loihi1", "loihi2", ...) or the path of a TOML file. chips: at most so many.
    The network's integer version is placed; of a network that has none, the float one, and a DeployNote says so.
    Returns a Fit: `fits`, `placement.cores`, `binding`, `suggestion`; `document()` has all figures.
    Raises InputError for a chip that is not known, UnsupportedError naming a layer that cannot be placed.
    """
    check_type(chip, (Chip, str, os.PathLike), "chip", "a chip's name or file")
    check_count(chips, "chips")
    limits = chip if isinstance(chip, Chip) else load_chip(os.fspath(chip))
    with opened(net) as source:
        try:
            graph = source.deployment.fixed
        except GraphError as error:
            text = f"no integer version ({error}); parameters are counted as the float network's"
            warnings.warn(text, DeployNote, stacklevel=2)
            graph = source.graph
        return placed(graph, limits, chips)
