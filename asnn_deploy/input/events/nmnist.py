"""`nmnist:DIR`: N-MNIST, digits seen by an event camera that moves (Orchard et al. 2015, "Converting Static Image
Datasets to Spiking Neuromorphic Datasets Using Saccades").

DIR/Train/LABEL/*.bin and DIR/Test/LABEL/*.bin. A file is a list of events of 40 bits, as the data set's page says: 8
bits x, 8 bits y, 1 bit polarity, 23 bits time in microseconds, the highest first. An event with y = 240 is none: the
clock went over, and all that follow are 2^13 µs later (the authors' Read_Ndataset.m).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asnn_deploy.errors import DataError
from asnn_deploy.input.events.frames import FrameChoices, Framing
from asnn_deploy.input.events.recording import Recording, Sensor
from asnn_deploy.input.mixing import mixed
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.progress import track

SENSOR = Sensor(34, 34)
CLASSES = 10
EVENT = 5
"""Bytes of an event."""
OVERFLOW = 240
"""The y of what is no event: the clock went over."""
LATER = 2**13
"""Microseconds by which what follows it is later."""
PARTS = {"train": "Train", "test": "Test"}


def read_recording(file: Path) -> Recording:
    """Read one recording. Raises DataError naming the file, and the byte at which it is torn."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); replace it") from None
    torn = len(content) % EVENT
    if torn:
        raise DataError(
            f"{file}: torn at byte {len(content) - torn}: {torn} of the {EVENT} bytes of an event; replace it"
        )
    x, y, *rest = np.frombuffer(content, np.uint8).reshape(-1, EVENT).T.astype(np.int64)
    times = (rest[0] & 0x7F) << 16 | rest[1] << 8 | rest[2]
    times += LATER * np.cumsum(y == OVERFLOW)
    events = y != OVERFLOW
    if not events.any():
        raise DataError(f"{file}: holds no event; replace it or take it out")
    found = Recording(x[events], y[events], rest[0][events] >> 7, times[events])
    found.check(SENSOR, file)
    return found


def read_nmnist(root: Path, choices: FrameChoices) -> tuple[dict[str, Array], int, str]:
    """Return frames `[N, T, 2, H, W]`, labels and the frames' kind by name, the number of classes, and a note on events
    that no frame holds.

    root: the folder with Train and Test, or one that holds it as NMNIST. Raises DataError naming the folder or the
    file.
    """
    folder = next((place for place in (root, root / "NMNIST") if (place / PARTS["train"]).is_dir()), None)
    if folder is None:
        raise DataError(f"{root}: has no folder {PARTS['train']}; give the folder with N-MNIST's Train and Test")
    framing = Framing(SENSOR, choices)
    files = {split: _files(folder / name) for split, name in PARTS.items()}
    framing.check_room(sum(map(len, files.values())), folder)
    arrays: dict[str, Array] = {"kind": np.array(framing.kind)}
    for split, found in files.items():
        frames = np.zeros((len(found), *framing.shape), np.uint8)
        for row, (file, _) in zip(frames, track(found, f"read {split}ing recordings")):
            framing.fill(row, read_recording(file))
        arrays |= {f"x_{split}": frames, f"y_{split}": np.array([label for _, label in found])}
    return arrays, CLASSES, framing.left_out()


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Recordings and their labels, mixed: the first few are of all classes. Raises DataError if there are none."""
    names = [str(label) for label in range(CLASSES)]
    others = sorted(e.name for e in folder.iterdir() if e.is_dir() and e.name not in names) if folder.is_dir() else []
    if others:
        raise DataError(f"{folder}: has a folder {others[0]!r}; N-MNIST's classes are the folders 0 to {CLASSES - 1}")
    found = [(file, label) for label in range(CLASSES) for file in sorted((folder / str(label)).glob("*.bin"))]
    if not found:
        raise DataError(f"{folder}: holds no recordings, LABEL/*.bin; give the folder with N-MNIST's Train and Test")
    return mixed(found)
