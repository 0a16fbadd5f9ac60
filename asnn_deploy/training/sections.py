"""Sections of a configuration of which there are several kinds: each network and each loss has its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asnn_deploy.errors import ConfigError
from asnn_deploy.models.config import ModelConfig, Section
from asnn_deploy.models.networks import NETWORKS
from asnn_deploy.training.losses import LOSSES, LossConfig
from asnn_deploy.util.discover import Parts


@dataclass(frozen=True)
class Choice:
    """A section whose key `name` chooses a part, and with it the other keys.

    section: what it is called; base: what all kinds have in common, with the default name.
    """

    section: str
    parts: Parts[Any]
    base: type[Section]

    def kind(self, values: Mapping[str, Any]) -> type[Any]:
        """Return what the section with these plain values must be, such as a LeNetConfig.

        Raises InputError for an unknown name, and MissingDependency if what it names cannot be loaded.
        """
        name = values.get("name")
        default = self.base.model_fields["name"].default
        return self.parts.find(str(default if name is None else name)).section

    def kinds(self) -> dict[str, type[Section]]:
        """Return the sections of all parts that can be loaded, by name."""
        return {name: self.parts[name].section for name in self.parts if self.parts.problem(name) is None}

    def own(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the section's plain values without the keys that only other parts have, which say nothing here.

        A key that is null unless it is meant is not ignored: raises ConfigError naming the parts that have it.
        """
        mine, own = self.kind(values).model_fields, {}
        for key, value in values.items():
            owners = [] if key in mine else [name for name, kind in self.kinds().items() if key in kind.model_fields]
            if not owners:  # an unknown key is the validation's affair
                own[key] = value
            elif value is not None and all(self.kinds()[name].model_fields[key].default is None for name in owners):
                raise ConfigError(
                    f"{self.section}.{key}: belongs to {self.section}.name = {' or '.join(owners)}; choose that, or "
                    "leave it out"
                )
        return own


CHOICES = {
    choice.section: choice for choice in (Choice("model", NETWORKS, ModelConfig), Choice("loss", LOSSES, LossConfig))
}
