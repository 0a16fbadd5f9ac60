"""Data sets by name: `NAME[:PATH]` to 8-bit images. NumPy only; scikit-learn, torchvision and Pillow are asked when
needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asnn_deploy.errors import DataError
from asnn_deploy.input.choices import Choices, DataText
from asnn_deploy.input.events.frames import FrameChoices
from asnn_deploy.input.events.nmnist import read_nmnist
from asnn_deploy.input.folder import FolderChoices, read_folder
from asnn_deploy.input.pictures import CHANNELS
from asnn_deploy.input.torchvision_folders import cifar_reader, idx_reader
from asnn_deploy.ir.images import PIXEL_MAX
from asnn_deploy.ir.inputs import KINDS
from asnn_deploy.ir.preprocessing import prepare
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.discover import Parts
from asnn_deploy.util.files import DAMAGE, describe
from asnn_deploy.util.progress import phase
from asnn_deploy.util.suggest import unknown_name


@dataclass(frozen=True, eq=False)
class Data:
    """A data set in memory.

    images: "train" and "test" to uint8 `[N, C, H, W]`, or to frames `[N, T, ...]` of a kind; labels: to int64 `[N]`,
        0..classes-1.
    kind: "image", or what frames are made of: "spikes", "counts" or "values".
    class_names: of each class, where the data set names them. note: what a user should know of it, in one line.
    """

    spec: str
    images: dict[str, Array]
    labels: dict[str, Array]
    classes: int
    kind: str = "image"
    class_names: tuple[str, ...] | None = None
    note: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, (C, H, W)."""
        return self.images["train"].shape[1:]

    def part(self, split: str, limit: int | None = None) -> tuple[Array, Array]:
        """The first `limit` images and labels of a split."""
        return self.images[split][:limit], self.labels[split][:limit]


@dataclass(frozen=True)
class Source:
    """Where a data set comes from; others register theirs by the entry-point group `asnn_deploy.data`.

    read: the path that is given to the arrays x_train, y_train, x_test and y_test by name (images as in `as_images`,
    labels integers from 0), and the classes: their number, their names, or None for as many as there are labels; then,
    where a user should know something, a note. Raises DataError.
    summary: one line for `asnn-deploy list`. needs: what the path names, "a file" or "a folder"; None if it takes none.
    choices: what the user may choose by `data.KEY`, which `read` then gets as `choices`. fetches: what is not there can
    be downloaded, and `read` gets whether that is allowed as `download`.
    """

    read: Callable[..., tuple[Any, ...]]
    summary: str = ""
    needs: str | None = "a folder"
    choices: type[Choices] | None = None
    fetches: bool = False


@phase("prepare images")
def prepared(data: Data, preparation: str) -> Data:
    """The data as a network reads it that has its images prepared so."""
    return replace(data, images={split: prepare(preparation, images) for split, images in data.images.items()})


@phase("load data")
def load_data(spec: str | None, download: bool = False) -> Data:
    """Load `NAME[,KEY=VALUE...][:PATH]`. download: whether a data set that is not there may be fetched.

    Raises DataError in one line naming the file, what was found and the remedy; also if no data set is named.
    """
    if spec is None:
        raise DataError("no data set is named; give one, such as digits or cifar100:PATH")
    text = DataText.of(spec)
    name = text.name
    if name not in SOURCES and not text.path and os.path.exists(spec):
        kind = "folder" if os.path.isdir(spec) else "npz"
        raise DataError(f"data {spec}: does not say what it is; pictures or arrays of your own are {kind}:{spec}")
    if name not in SOURCES:
        raise DataError(unknown_name("data set", name, SOURCES, PLANNED))
    source = SOURCES.find(name)
    if source.needs and not text.path:
        raise DataError(f"data {spec}: needs {source.needs}, as in {name}:PATH")
    if text.path and not source.needs:
        raise DataError(f"data {spec}: {name} is complete by itself and takes no path")
    more: dict[str, Any] = {"download": download} if source.fetches else {}
    chosen = text.checked(source.choices)
    if chosen is not None:
        more["choices"] = chosen
    where = _expanded(text.path)
    arrays, classes, *note = source.read(where, **more)
    # A run folder remembers its data, also when it is used from another folder.
    resolved = replace(text, path=os.path.realpath(where) if text.path else "")
    return replace(_checked(str(resolved), arrays, classes), note=" ".join(note))


@phase("load data")
def load_sequences(spec: str, download: bool = False) -> Data:
    """Load `npz:FILE` of frames `x_test` `[N, T, ...]`; labels `y_test`, and training frames, may be left out.

    Training frames that are left out are the test frames. Raises DataError as `load_data` does.
    """
    name, _, path = spec.partition(":")
    if name != "npz" or not path:
        return load_data(spec, download)
    where = _expanded(path)
    arrays = _npz_arrays(where, ("x_test",))
    frames, labels = {}, {}
    for split in ("train", "test"):
        found = split if f"x_{split}" in arrays else "test"
        if not len(arrays[f"x_{found}"]):
            raise DataError(f"data {spec}: x_{found} is empty")
        frames[split] = as_frames(arrays[f"x_{found}"], f"data {spec}: x_{found}")
        if f"y_{found}" not in arrays:
            continue
        y = np.asarray(arrays[f"y_{found}"])
        if y.shape != (len(frames[split]),) or y.dtype.kind not in "iu" or (y.size and int(y.min()) < 0):
            raise DataError(
                f"data {spec}: y_{found} has shape {y.shape} and type {y.dtype}; "
                f"labels are integers from 0, one for each of the {len(frames[split])} sequences"
            )
        labels[split] = y.astype(np.int64)
    classes = max((int(y.max()) + 1 for y in labels.values() if y.size), default=0)
    return Data(f"npz:{where.resolve()}", frames, labels, classes, "values")


def as_images(images: Array, where: str) -> Array:
    """Images `[N,H,W]` or `[N,H,W,C]`, uint8 or float 0..1, to uint8 `[N,C,H,W]` (floats to the nearest of 256 levels).

    Raises DataError naming `where` for another shape or type, NaN, or values outside 0..1.
    """
    images = np.asarray(images)
    if images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise DataError(f"{where}: images have shape {images.shape}; allowed: [N, H, W] or [N, H, W, C]")
    if images.dtype.kind == "f":
        if not np.isfinite(images).all():
            raise DataError(f"{where}: images hold NaN or infinity; every pixel must be a number from 0 to 1")
        if images.size and (images.min() < 0 or images.max() > 1):
            raise DataError(f"{where}: float images lie in {images.min():g}..{images.max():g}; allowed: 0..1, or uint8")
        images = np.rint(images * PIXEL_MAX).astype(np.uint8)
    elif images.dtype != np.uint8:
        raise DataError(f"{where}: images have type {images.dtype}; allowed: uint8, or float from 0 to 1")
    return np.ascontiguousarray(images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2))


def as_frames(frames: Array, where: str) -> Array:
    """Return frames `[N, T, ...]` as they are. Raises DataError naming `where` unless they are finite numbers."""
    frames = np.asarray(frames)
    if frames.ndim < 3 or 0 in frames.shape[1:]:
        raise DataError(f"{where}: frames have shape {frames.shape}; allowed: [N, T, ...]")
    with np.errstate(over="ignore"):
        held = frames.dtype.kind in "biuf" and np.isfinite(frames.astype(np.float32)).all()
    if not held:
        raise DataError(f"{where}: frames of type {frames.dtype} hold something that is not a finite float32 number")
    return frames


def _checked(spec: str, arrays: dict[str, Array], known: int | Sequence[str] | None) -> Data:
    names = tuple(known) if isinstance(known, Sequence) else None
    images, labels = {}, {}
    kind = str(arrays.get("kind", "image"))
    if kind not in ("image", *KINDS):
        raise DataError(f"data {spec}: kind {kind!r}; allowed: {', '.join(KINDS)}, or none for images")
    for split in ("train", "test"):
        where = f"data {spec}: x_{split}"
        x = as_images(arrays[f"x_{split}"], where) if kind == "image" else as_frames(arrays[f"x_{split}"], where)
        y = np.asarray(arrays[f"y_{split}"])
        if y.ndim != 1 or len(y) != len(x):
            raise DataError(f"data {spec}: {len(x)} {split} images need as many labels, found shape {y.shape}")
        if len(x) == 0:
            raise DataError(f"data {spec}: the {split} split is empty")
        if y.dtype.kind not in "iu":
            raise DataError(f"data {spec}: y_{split} has type {y.dtype}; labels are integers from 0")
        if y.dtype == np.uint64 and y.max() > np.iinfo(np.int64).max:
            raise DataError(f"data {spec}: y_{split} holds label {y.max()}; labels are integers from 0")
        images[split], labels[split] = x, y.astype(np.int64)
    if images["train"].shape[1:] != images["test"].shape[1:]:
        found = " and ".join(str(images[s].shape[1:]) for s in images)
        raise DataError(f"data {spec}: train and test images differ in shape: {found}")
    classes = (len(known) if isinstance(known, Sequence) else known) or int(labels["train"].max()) + 1
    for split, y in labels.items():
        if y.min() < 0 or y.max() >= classes:
            wrong = int(y.min() if y.min() < 0 else y.max())
            raise DataError(f"data {spec}: y_{split} holds label {wrong}; allowed: 0..{classes - 1}")
    return Data(spec, images, labels, classes, kind, names)


def _digits(_path: Path) -> tuple[dict[str, Array], int]:
    """scikit-learn's 1,797 digits, 8x8, 17 grey levels; a fifth of each class, drawn with seed 0, is the test split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.rint(digits.images * (PIXEL_MAX / 16)).astype(np.uint8)
    parts = train_test_split(images, digits.target, test_size=0.2, random_state=0, stratify=digits.target)
    return dict(zip(("x_train", "x_test", "y_train", "y_test"), parts)), 10


def _npz(path: Path) -> tuple[dict[str, Array], None]:
    arrays = _npz_arrays(path, ("x_train", "y_train", "x_test", "y_test"))
    if "kind" not in arrays:
        arrays |= {key: channels_last(arrays[key], f"{path}: {key}") for key in ("x_train", "x_test")}
    return arrays, None


def channels_last(images: Array, where: str) -> Array:
    """Images `[N, C, H, W]` as `[N, H, W, C]`: they are if axis 1 has 1 or 3 channels, and the last has not.

    Raises DataError for square images that seem to have another number of channels in axis 1.
    """
    if images.ndim != 4 or images.shape[3] in CHANNELS:
        return images
    count, channels, height, width = images.shape
    if channels in CHANNELS:
        return images.transpose(0, 2, 3, 1)
    if channels < height == width:
        raise DataError(
            f"{where}: images have shape {images.shape}, with {channels} channels in front; give [N, H, W, C], here "
            f"{(count, height, width, channels)}"
        )
    return images


def _npz_arrays(path: Path, needed: tuple[str, ...]) -> dict[str, Array]:
    """The arrays of a data set that a file holds; some of them it must."""
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in needed if key not in file.files]
            if missing:
                raise DataError(f"{path}: lacks {missing[0]!r}; needs {listed(needed)}")
            return {key: file[key] for key in ("x_train", "y_train", "x_test", "y_test", "kind") if key in file.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give an .npz file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; give an .npz file") from None
    except DAMAGE as error:
        raise DataError(f"{path}: not a readable .npz file ({describe(error)})") from None


def _expanded(path: str) -> Path:
    """The path, with the home folder that `~` stands for. Raises DataError if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise DataError(f"{path}: the home folder is not known; give the whole path") from None


def listed(names: tuple[str, ...]) -> str:
    """Return names of arrays as a message has them."""
    return f"{'arrays' if len(names) > 1 else 'an array'} {', '.join(names)}"


PLANNED = ("dvs-gesture", "cifar10-dvs", "shd", "ssc", "events", "digits-rows", "mnist-rows")
"""Names that a later version gives a meaning."""

SOURCES: Parts[Source] = Parts(
    "data set",
    "asnn_deploy.data",
    __name__,
    own={
        "digits": Source(_digits, "scikit-learn's 1,797 digits, 8x8", needs=None),
        "folder": Source(read_folder, "anyone's pictures, in class folders", choices=FolderChoices),
        "npz": Source(_npz, "anyone's arrays", needs="a file"),
        "mnist": Source(idx_reader("MNIST"), "torchvision's MNIST", fetches=True),
        "fashion-mnist": Source(idx_reader("FashionMNIST"), "torchvision's Fashion-MNIST", fetches=True),
        "nmnist": Source(read_nmnist, "N-MNIST: digits seen by an event camera, as frames", choices=FrameChoices),
        "cifar10": Source(cifar_reader("CIFAR10"), "torchvision's CIFAR-10", fetches=True),
        "cifar100": Source(cifar_reader("CIFAR100"), "torchvision's CIFAR-100", fetches=True),
    },
    base=Source,
)
