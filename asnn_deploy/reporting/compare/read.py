"""A report folder, read back and checked: `report.json`, and `samples.npz` with what each sample did and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asnn_deploy.errors import BundleError, InputError
from asnn_deploy.reporting.figures import Report
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.document import LARGEST, read_document
from asnn_deploy.util.files import DAMAGE, describe

REPORT, SAMPLES = "report.json", "samples.npz"
COUNTS = ("sops", "acs", "macs", "spikes")
ENERGY = "energy/"
AGAIN = "make it again with 'asnn-deploy report'"
SHOWN = 12
"""Letters of a fingerprint that a message shows."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """One report.

    fingerprint: SHA-256 of the samples. labels, predictions: int64 `[N]`. counts: name to what each sample did, float64
    `[N]`. energies: profile to each sample's joules under the middle constants, float64 `[N]`.
    """

    folder: Path
    report: Report
    fingerprint: str
    labels: Array
    predictions: Array
    counts: Mapping[str, Array]
    energies: Mapping[str, Array]

    @property
    def right(self) -> Array:
        """Whether each sample was answered right, bool `[N]`."""
        return np.asarray(self.predictions == self.labels)

    @property
    def data(self) -> str:
        """What the samples are, in words."""
        return f"{len(self.labels):,} samples of {self.report.data or 'unnamed data'}"


def read_report(folder: Path) -> Recorded:
    """Read a report folder; nothing in it is unpickled. Raises BundleError naming the file and the remedy."""
    report, fingerprint = _read_json(folder)
    arrays = _read_arrays(folder)
    file = folder / SAMPLES
    missing = [name for name in ("labels", "predictions", *COUNTS) if name not in arrays]
    if missing:
        raise BundleError(f"{file}: holds no {missing[0]!r}; {AGAIN}")
    count = report.samples
    for name, values in arrays.items():
        allowed = "iu" if name in ("labels", "predictions") else "fiu"
        if values.shape != (count,) or values.dtype.kind not in allowed:
            raise BundleError(
                f"{file}: {name!r} is {values.dtype} of shape {list(values.shape)}; {REPORT} next to it tells of "
                f"{count} samples, one number each; {AGAIN}"
            )
        if allowed == "fiu" and not (((values >= 0) & (values <= LARGEST)).all()):
            raise BundleError(f"{file}: {name!r} holds a number that is negative or not finite; {AGAIN}")
    sops, told = float(arrays["sops"].mean()), report.totals.sops
    if not np.isclose(sops, told, rtol=1e-6):
        raise BundleError(
            f"{file}: {sops:,.1f} synaptic operations per sample, {REPORT} next to it tells of {told:,.1f}: "
            f"they are of different runs; {AGAIN}"
        )
    return Recorded(
        folder,
        report,
        fingerprint,
        arrays["labels"].astype(np.int64),
        arrays["predictions"].astype(np.int64),
        {name: arrays[name].astype(np.float64) for name in COUNTS},
        {n.removeprefix(ENERGY): v.astype(np.float64) for n, v in arrays.items() if n.startswith(ENERGY)},
    )


def _read_json(folder: Path) -> tuple[Report, str]:
    """The report, and the fingerprint of its samples."""
    file = folder / REPORT
    if not file.is_file():
        what = "is not there" if not folder.exists() else f"is not a report: it holds no {REPORT}"
        raise BundleError(f"{folder}: {what}; give a folder that 'asnn-deploy report' wrote")
    report = read_document(file, Report, "a report", AGAIN)
    if report.samples_sha256 is None or not (folder / SAMPLES).is_file():
        raise BundleError(f"{folder}: an older report, without {SAMPLES}, which a comparison needs; {AGAIN}")
    return report, report.samples_sha256


def _read_arrays(folder: Path) -> dict[str, Array]:
    try:
        with np.load(folder / SAMPLES, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except DAMAGE as error:
        raise BundleError(f"{folder / SAMPLES}: not a readable .npz file ({describe(error)}); {AGAIN}") from error


def check_same_samples(a: Recorded, b: Recorded) -> None:
    """Raise InputError, saying which, where two reports are not on the same samples in the same order."""
    prints = [recorded.fingerprint for recorded in (a, b)]
    if prints[0] == prints[1] and np.array_equal(a.labels, b.labels):
        return
    shared = min(len(a.labels), len(b.labels))
    parted = np.flatnonzero(a.labels[:shared] != b.labels[:shared])
    if len(parted):
        where = f"sample {parted[0]} is of class {a.labels[parted[0]]} there and {b.labels[parted[0]]} here"
    elif len(a.labels) != len(b.labels):
        where = f"the first {shared:,} have the same labels"
    else:
        where = "all labels are the same, the images are not"
    raise InputError(
        f"{a.folder} and {b.folder} are on different samples: {a.data} ({prints[0][:SHOWN]}) against {b.data} "
        f"({prints[1][:SHOWN]}); {where}; report both on the same samples of the same data"
    )
