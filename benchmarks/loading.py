"""Does loading bound training? Images per second of the loader, with the whole augmentation, and of training.

    .venv/bin/python benchmarks/loading.py [--images N] [--batch-size N] [--out FILE]

CIFAR-sized made-up images, the reference code's augmentation (flip, rotation to 25 degrees, crop with padding 5): the
loader as training uses it, on one core, against the same changes by torchvision's transforms image by image, in turns;
and training steps of CIFAR presets on the same core, loading not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).resolve().parent / "common")]

import numpy as np
import torch
from provenance import provenance
from timing import seconds
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from asnn_deploy.input.data import Data
from asnn_deploy.training.config import AugmentationConfig, RunConfig, make_config, merge
from asnn_deploy.training.loading import loaders
from asnn_deploy.training.module import TrainingModule
from asnn_deploy.training.network import build_model
from asnn_deploy.training.presets import CIFAR_AUGMENTATION, preset

TRAINED = ("cifar-lenet", "cifar-sew-resnet18")
TRAINED_BATCH, STEPS = 32, 4
HERE = Path(__file__).resolve().parent


class OneByOne(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Images changed one at a time by torchvision, as most training scripts do."""

    def __init__(self, data: Data) -> None:
        self.images, self.labels = (torch.from_numpy(part["train"]) for part in (data.images, data.labels))
        self.change = v2.Compose(
            [v2.RandomHorizontalFlip(), v2.RandomRotation(25), v2.RandomCrop(self.images.shape[2:], padding=5)]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.change(self.images[i]), self.labels[i]


def configured(name: str, batch_size: int) -> RunConfig:
    """A preset on one core."""
    return make_config(merge(preset(name), {"training.batch_size": batch_size, "time_steps": STEPS}), name)


def rate(loader: Any, count: int, rounds: int) -> float:
    """Images per second of one pass."""
    return count / seconds(lambda: sum(len(batch[1]) for batch in loader), rounds)


def training_rate(name: str, data: Data, rounds: int) -> float:
    """Images per second of training steps on a batch at hand."""
    config = configured(name, TRAINED_BATCH)
    module = TrainingModule(build_model(config, data.shape, data.classes), config, data.classes)
    optimizer = torch.optim.Adam(module.parameters())
    images, labels = (torch.from_numpy(part["train"][:TRAINED_BATCH]) for part in (data.images, data.labels))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module.network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return TRAINED_BATCH / seconds(step, rounds)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "loading.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    images = rng.integers(0, 256, (options.images, 3, 32, 32)).astype(np.uint8)
    labels = rng.integers(0, 10, options.images)
    data = Data("made up", {"train": images, "test": images[:1]}, {"train": labels, "test": labels[:1]}, 10)
    config = configured("cifar-lenet", options.batch_size)
    assert config.augmentation == AugmentationConfig(**CIFAR_AUGMENTATION)
    ours, _ = loaders(config, data)
    theirs = DataLoader(OneByOne(data), options.batch_size, shuffle=True)
    loaded, one_by_one = rate(ours, options.images, options.rounds), rate(theirs, options.images, options.rounds)
    trained = {name: training_rate(name, data, options.rounds) for name in TRAINED}
    report = {
        **provenance(options.seed, "torch", "torchvision"),
        "batch_size": options.batch_size,
        "images_per_second": {"loader": loaded, "torchvision_one_by_one": one_by_one, "training": trained},
        "times_one_by_one": loaded / one_by_one,
        "times_training": {name: loaded / value for name, value in trained.items()},
    }
    print(f"loader {loaded:.0f} images/s on one core, {loaded / one_by_one:.1f} times torchvision image by image")
    for name, value in trained.items():
        print(f"  training {name}: {value:.1f} images/s; the loader is {loaded / value:.0f} times as fast")
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
