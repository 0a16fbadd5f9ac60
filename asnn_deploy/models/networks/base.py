"""What a network is. How to write one: copy `lenet.py`; it ends in `network = ...`.

A network's file must not import torch when it is loaded: reading a configuration loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from asnn_deploy.models.config import ModelConfig

if TYPE_CHECKING:
    from asnn_deploy.models.builder import Builder
    from asnn_deploy.models.network import SpikingNetwork


class Network:
    """One network.

    name: as in `model.name`; summary: one line for `asnn-deploy list`.
    section: its keys in the section `model` of a configuration, with their checks and defaults.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    section: ClassVar[type[ModelConfig]] = ModelConfig

    def build(self, build: Builder, config: Any, classes: int) -> SpikingNetwork:
        """Return the network, put together by a Builder that knows the input; config: a `section`.

        Raises ConfigError naming the key, or the layer, that does not fit the image.
        """
        raise NotImplementedError(f"network {self.name!r} lacks its method `build`")
