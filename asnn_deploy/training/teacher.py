"""Teachers for distillation: a run folder, perhaps of more time steps, or any network as an ONNX file (an ANN)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asnn_deploy.errors import BundleError, ConfigError
from asnn_deploy.input.data import Data
from asnn_deploy.ir.images import PIXEL_MAX
from asnn_deploy.training.trained import load_run
from asnn_deploy.util.files import describe
from asnn_deploy.util.progress import phase


class Teacher:
    """Answers for 8-bit images. The network's own preparation of images must be the teacher's too."""

    def __init__(self, answer: Callable[[Tensor], Tensor]) -> None:
        self._answer = answer

    def logits(self, images: Tensor) -> Tensor:
        """`[B, C, H, W]` uint8 to `[B, classes]`, without gradients."""
        with torch.no_grad():
            return self._answer(images).to(images.device)


@phase("load the teacher")
def load_teacher(path: Path, data: Data, classes: int, image: str) -> Teacher:
    """Read a teacher, and let it answer once. Raises BundleError or ConfigError where it does not fit the data."""
    teacher = _onnx(path) if path.suffix == ".onnx" else _run(path, image)
    sample = torch.from_numpy(data.images["train"][:2])
    try:
        teacher.logits(sample[:1])  # batches are of any size
        found = tuple(teacher.logits(sample).shape)
    except Exception as error:  # whatever a network raises on images it was not made for
        raise ConfigError(
            f"loss.teacher = {path}: cannot read images {tuple(sample.shape[1:])} ({describe(error)[:150]}); give a "
            "network of the same data, and of any batch size"
        ) from None
    if found != (len(sample), classes):
        raise ConfigError(
            f"loss.teacher = {path}: answers {found} for {len(sample)} images, needed are {classes} logits for each"
        )
    return teacher


def _run(path: Path, image: str) -> Teacher:
    run = load_run(path)
    if run.config.image != image:
        raise ConfigError(
            f"loss.teacher = {path}: was trained with image = {run.config.image}, now {image}; use the same"
        )
    network = run.network.requires_grad_(False)

    def answer(images: Tensor) -> Tensor:
        return network.to(images.device)(images)

    return Teacher(answer)


def _onnx(path: Path) -> Teacher:
    """One input, `[B, C, H, W]`: pixels as uint8, or 0..1 as float32; the first output is the logits. On the CPU."""
    import importlib

    if not path.is_file():
        raise BundleError(f"loss.teacher = {path}: no such file")
    runtime = importlib.import_module("onnxruntime")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base
        raise BundleError(f"loss.teacher = {path}: not readable as ONNX ({describe(error)[:150]})") from None
    if not session.get_inputs():
        raise BundleError(f"loss.teacher = {path}: takes no input; give a network that takes images [B, C, H, W]")
    entry = session.get_inputs()[0]

    def answer(images: Tensor) -> Tensor:
        pixels = images.cpu().numpy()
        if entry.type != "tensor(uint8)":
            pixels = pixels.astype(np.float32) / np.float32(PIXEL_MAX)
        return torch.from_numpy(session.run(None, {entry.name: pixels})[0])

    return Teacher(answer)
