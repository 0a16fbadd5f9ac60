"""`folder:DIR`: pictures in class folders, DIR/CLASS/*.png, or DIR/train/CLASS/*.png and DIR/test/CLASS/*.png."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from asnn_deploy.errors import DataError
from asnn_deploy.input.choices import Choices
from asnn_deploy.input.mixing import SEED, mixed
from asnn_deploy.input.pictures import SUFFIXES, pixels, read_picture, resized
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.text import is_unicode, printable

if TYPE_CHECKING:
    from PIL.Image import Image

TEST_SHARE = 0.2
"""Share of each class's pictures that is for testing if the folder does not say; `digits` has the same."""
LARGEST_SIDE = 4096
SPLITS = ("train", "test")
Parts = dict[str, list[list[Path]]]
"""Split to the pictures of each class."""


def _size(value: Any) -> Any:
    sides = [value, value] if type(value) is int else list(value) if isinstance(value, (list, tuple)) else []
    if len(sides) != 2 or not all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in sides):
        raise ValueError(f"allowed: [height, width] in pixels, each from 1 to {LARGEST_SIDE}")
    return tuple(sides)


class FolderChoices(Choices):
    """size: (height, width) to which each picture is stretched; null: they all have one size. grey: true makes all
    pictures grey, false gives all three colours; null: three colours if any picture has them."""

    size: Annotated[tuple[int, int] | None, BeforeValidator(lambda v: None if v is None else _size(v))] = None
    grey: bool | None = None


def read_folder(root: Path, choices: FolderChoices) -> tuple[dict[str, Array], tuple[str, ...], str]:
    """Return images `[N, H, W]` or `[N, H, W, 3]` and labels by name, the classes, and a note on the two parts.

    Classes are the sorted names of the folders. Raises DataError naming the folder or the file.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: {'is a file' if root.is_file() else 'no such folder'}; give a folder of class folders"
        )
    lone = [name for name in SPLITS if (root / name).is_dir() and len(_folders(root / name)) > 1]
    if len(lone) == 1 and _folders(root) == lone:
        lacks = next(name for name in SPLITS if name not in lone)
        raise DataError(
            f"{root}: has {lone[0]}/ but no {lacks}/; add it with the same class folders, or give {root / lone[0]}, to "
            "have a part of it drawn for testing"
        )
    split = all((root / name).is_dir() for name in SPLITS)
    if split:
        classes = _classes(root / SPLITS[0])
        _check_same(root, classes)
        parts: Parts = {name: [_pictures(root / name / c) for c in classes] for name in SPLITS}
        said = "as train/ and test/ have them"
    else:
        classes = _classes(root)
        parts = _drawn([_pictures(root / c, least=2) for c in classes])
        said = (
            f"there are no train/ and test/, so {TEST_SHARE:.0%} of each class, drawn with seed {SEED}, are for testing"
        )
    counts = " and ".join(f"{sum(map(len, parts[name])):,} {what}" for name, what in zip(SPLITS, ("training", "test")))
    arrays = _arrays(parts, choices)
    return arrays, classes, f"{root}: {len(classes)} classes, {counts} pictures ({said}){_left_out(root, split)}"


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _classes(root: Path) -> tuple[str, ...]:
    """The names of the class folders. Raises DataError unless there are two, with names that can be written down."""
    names = tuple(_folders(root))
    for name in names:
        if not is_unicode(name):
            raise DataError(f"{root}: the name of class folder '{printable(name)}' is not Unicode; rename it")
    if len(names) < 2:
        found = f"only the class folder {names[0]!r}" if names else "no class folders"
        raise DataError(
            f"{root}: holds {found}; put the pictures of each class into a folder with the class's name, two at least"
        )
    return names


def _check_same(root: Path, classes: tuple[str, ...]) -> None:
    """Raise DataError unless train/ and test/ have the same class folders."""
    test = _classes(root / SPLITS[1])
    for lacking, names, others in ((SPLITS[1], classes, test), (SPLITS[0], test, classes)):
        missing = [name for name in names if name not in others]
        if missing:
            raise DataError(f"{root / lacking}: lacks the class folder {missing[0]!r}; both parts need every class")


def _pictures(folder: Path, least: int = 1) -> list[Path]:
    """The pictures in a class folder, by name; folders in it are not looked into. Raises DataError for too few."""
    found = sorted(e for e in folder.iterdir() if e.suffix.lower() in SUFFIXES and not e.name.startswith("."))
    if len(found) < least:
        count = "no picture" if not found else "one picture"
        needed = "at least one" if least == 1 else "at least two, one to train on and one to test on"
        raise DataError(f"{folder}: holds {count} ({', '.join(SUFFIXES)}); a class needs {needed}")
    return found


def _drawn(pictures: list[list[Path]]) -> Parts:
    """Each class's pictures, parted: the same draw for as many pictures, whatever the other classes hold."""
    parts: Parts = {name: [] for name in SPLITS}
    for files in pictures:
        count = min(max(round(TEST_SHARE * len(files)), 1), len(files) - 1)
        chosen = set(np.random.default_rng(SEED).permutation(len(files))[:count].tolist())
        parts["test"].append([file for i, file in enumerate(files) if i in chosen])
        parts["train"].append([file for i, file in enumerate(files) if i not in chosen])
    return parts


def _arrays(parts: Parts, choices: FolderChoices) -> dict[str, Array]:
    """Images and labels, in an order drawn by the seed: the first few are of all classes."""
    labelled = {
        name: mixed([(f, c) for c, group in enumerate(groups) for f in group]) for name, groups in parts.items()
    }
    pictures = _read(sorted(file for pairs in labelled.values() for file, _ in pairs), choices.size)
    coloured = any(picture.mode != "L" for picture in pictures.values()) if choices.grey is None else not choices.grey
    arrays = {}
    for name, pairs in labelled.items():
        made = np.stack([pixels(pictures[file], 3 if coloured else 1) for file, _ in pairs])
        arrays[f"x_{name}"] = made.transpose(0, 2, 3, 1) if coloured else made[:, 0]
        arrays[f"y_{name}"] = np.array([c for _, c in pairs])
    return arrays


def _read(files: list[Path], size: tuple[int, int] | None) -> dict[Path, Image]:
    """All pictures in one size, which is theirs if none is given. Raises DataError naming two that differ."""
    read: dict[Path, Image] = {}
    for file in files:
        picture = read_picture(file)
        read[file] = resized(picture, size) if size else picture
        first = next(iter(read))
        if read[file].size != read[first].size:
            sizes = [f"{each} is {read[each].width} x {read[each].height}" for each in (file, first)]
            height, width = (min(side, LARGEST_SIDE) for side in (read[first].height, read[first].width))
            wanted = f"{height}x{width}"
            raise DataError(
                f"{', '.join(sizes)} pixels (width x height); resize them, or set data.size={wanted} (height x width, "
                f"as in folder,size={wanted}:DIR)"
            )
    return read


def _left_out(root: Path, split: bool) -> str:
    """What in the folder, or next to train/ and test/, is not read."""
    others = sorted(e.name for e in root.iterdir() if not e.name.startswith(".") and (split or not e.is_dir()))
    left = [name for name in others if not (split and name in SPLITS)]
    return f"; not read: {printable(left[0])}" + (f" and {len(left) - 1} more" if len(left) > 1 else "") if left else ""
