import gzip
import socket

import numpy as np
import pytest

from asnn_deploy.cli import run
from asnn_deploy.errors import DataError
from asnn_deploy.input import torchvision_folders
from asnn_deploy.input.data import as_images, load_data


def arrays(**changes):
    rng = np.random.default_rng(0)
    base = {
        "x_train": rng.integers(0, 256, (12, 6, 5), dtype=np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": rng.integers(0, 256, (6, 6, 5), dtype=np.uint8),
        "y_test": np.arange(6) % 3,
    }
    return {k: v for k, v in (base | changes).items() if v is not None}


def npz(folder, **changes):
    np.savez(folder / "d.npz", **arrays(**changes))
    return f"npz:{folder / 'd.npz'}"


def test_digits_are_split_for_good():
    data = load_data("digits")
    assert data.images["train"].shape == (1437, 1, 8, 8)
    assert data.images["test"].dtype == np.uint8
    assert data.images["test"].max() == 255
    assert np.bincount(data.labels["test"]).min() >= 34
    again = load_data("digits")
    assert np.array_equal(data.images["test"], again.images["test"])


def test_npz_grey_and_colour(tmp_path):
    grey = load_data(npz(tmp_path))
    assert grey.shape == (1, 6, 5)
    assert grey.classes == 3
    colour = arrays()["x_train"][..., None].repeat(3, axis=-1)
    data = load_data(npz(tmp_path, x_train=colour, x_test=colour[:6]))
    assert data.shape == (3, 6, 5)
    assert np.array_equal(data.images["train"][:, 1], arrays()["x_train"])


@pytest.mark.parametrize("channels", [1, 3])
def test_npz_channels_first_are_recognised(tmp_path, channels):
    last = np.random.default_rng(1).integers(0, 256, (12, 6, 5, channels), dtype=np.uint8)
    first = {f"x_{split}": last[:n].transpose(0, 3, 1, 2) for split, n in (("train", 12), ("test", 6))}
    data = load_data(npz(tmp_path, **first))
    assert data.shape == (channels, 6, 5)
    assert np.array_equal(data.images["train"], last.transpose(0, 3, 1, 2))
    narrow = last[:, :3, :, :].repeat(3 // channels, axis=3)  # [N, 3, 5, 3] is [N, H, W, C]
    assert load_data(npz(tmp_path, x_train=narrow, x_test=narrow[:6])).shape == (3, 3, 5)


def test_float_images_are_rounded_to_256_levels():
    floats = np.arange(256, dtype=np.float64).reshape(1, 16, 16) / 255
    assert np.array_equal(as_images(floats, "x")[0, 0].ravel(), np.arange(256))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, "lacks 'x_train'"),
        ({"x_train": np.full((12, 6, 5), np.nan)}, "x_train: images hold NaN or infinity"),
        ({"x_test": np.full((6, 6, 5), 1.5)}, r"float images lie in 1.5..1.5; allowed: 0..1"),
        ({"x_test": np.zeros((6, 6, 5), np.int32)}, "images have type int32"),
        ({"x_test": np.zeros((6, 30), np.uint8)}, r"images have shape \(6, 30\)"),
        (
            {"x_train": np.zeros((12, 4, 6, 6), np.uint8)},
            r"x_train: images have shape \(12, 4, 6, 6\), .*give \[N, H, W, C\], here \(12, 6, 6, 4\)",
        ),
        ({"x_test": np.zeros((6, 7, 5), np.uint8)}, "train and test images differ in shape"),
        ({"y_train": np.arange(11) % 3}, "12 train images need as many labels"),
        ({"y_train": np.arange(12) % 3 - 1}, r"y_train holds label -1; allowed: 0\.\.1"),
        ({"y_test": np.array([0, 1, 2, 3, 0, 1])}, r"y_test holds label 3; allowed: 0\.\.2"),
        ({"y_test": np.zeros(6)}, "y_test has type float64; labels are integers"),
        ({"x_test": np.zeros((0, 6, 5), np.uint8), "y_test": np.zeros(0, int)}, "the test split is empty"),
        ({"y_test": np.array([0] * 6, dtype=object)}, "not a readable .npz file"),
    ],
)
def test_bad_arrays(tmp_path, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        load_data(npz(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_bad_npz_files(tmp_path):
    spec = npz(tmp_path)
    file = tmp_path / "d.npz"
    whole = file.read_bytes()
    for damage in (b"", b"text", whole[: len(whole) // 2]):
        file.write_bytes(damage)
        with pytest.raises(DataError, match="not a readable .npz file"):
            load_data(spec)
    with pytest.raises(DataError, match="no such file"):
        load_data(f"npz:{tmp_path / 'absent.npz'}")
    with pytest.raises(DataError, match="is a folder; give an .npz file"):
        load_data(f"npz:{tmp_path}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", "unknown data set 'digit'; did you mean 'digits'"),
        ("shd:x", "'shd' is planned and not there yet .*digits, fashion-mnist, folder, mnist, nmnist, npz"),
        ("unheard-of:x", "unknown data set 'unheard-of' .*digits, fashion-mnist, folder, mnist, nmnist, npz"),
        ("mnist", "data mnist: needs a folder, as in mnist:PATH"),
        ("npz:", "needs a file"),
        ("digits:here", "takes no path"),
    ],
)
def test_bad_specs(spec, message):
    with pytest.raises(DataError, match=message):
        load_data(spec)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def mnist_folder(root, name="FashionMNIST"):
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    made = arrays()
    for split, prefix in (("train", "train"), ("test", "t10k")):
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(made[f"x_{split}"])))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(made[f"y_{split}"]))
    return folder


def test_torchvision_folders_packed_and_unpacked(tmp_path):
    folder = mnist_folder(tmp_path)
    for spec in (f"fashion-mnist:{place}" for place in (tmp_path, folder.parent, folder)):
        data = load_data(spec)
        assert np.array_equal(data.images["test"][:, 0], arrays()["x_test"])
        assert data.classes == 10


def test_folders_of_another_data_set_with_the_same_files_are_refused(tmp_path):
    folder = mnist_folder(tmp_path)
    for place in (folder.parent, folder):
        with pytest.raises(DataError, match="holds FashionMNIST, not MNIST"):
            load_data(f"mnist:{place}")


class Cifar:
    """Stands for torchvision's CIFAR10: reads what `cifar_folder` made."""

    base_folder = "cifar-10-batches-py"
    classes = ("plane", "cat")

    def __init__(self, root, train=True, download=False):
        (root / self.base_folder / "batch").read_bytes()
        self.data = np.zeros((4, 5, 5, 3), np.uint8)
        self.targets = [0, 1, 0, 1]


def test_cifar_is_found_from_three_folders_and_names_its_classes(tmp_path, monkeypatch):
    from torchvision import datasets

    monkeypatch.setattr(datasets, "CIFAR10", Cifar)
    folder = tmp_path / "mine" / Cifar.base_folder
    folder.mkdir(parents=True)
    (folder / "batch").touch()
    for place in (folder, folder.parent, tmp_path):
        data = load_data(f"cifar10:{place}")
        assert (data.classes, data.class_names) == (2, Cifar.classes)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.write_bytes(f.read_bytes()[:40]), "damaged"),
        (lambda f: f.write_bytes(gzip.compress(b"hello")), "not an IDX file of 3-dimensional bytes"),
        (lambda f: f.write_bytes(gzip.compress(idx(arrays()["x_train"])[:-9])), "truncated: 351 of 360 bytes"),
        (lambda f: f.write_bytes(gzip.compress(b"\0\0\x08\3" + b"\x80\0\0\0" * 2 + b"\0\0\0\4")), f"of {2**64} bytes"),
        (lambda f: f.unlink(), "no such file"),
    ],
)
def test_damaged_folders(tmp_path, damage, message):
    damage(mnist_folder(tmp_path) / "train-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match=message):
        load_data(f"fashion-mnist:{tmp_path}")


@pytest.fixture
def fetched(monkeypatch):
    """What the next download of MNIST or CIFAR-10 writes, before it fails if `error` is set."""
    from torchvision import datasets

    class Fetch:
        base_folder, error, calls = "cifar-10-batches-py", None, 0

        def __new__(cls, root, download=True, **others):
            Fetch.calls += 1
            mnist_folder(root, "MNIST")
            (root / "archive.tar.gz").write_bytes(b"half of it")
            if Fetch.error is not None:
                raise Fetch.error

    for dataset in ("MNIST", "CIFAR10"):
        monkeypatch.setattr(datasets, dataset, Fetch)
    return Fetch


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
@pytest.mark.parametrize(
    "error", [RuntimeError("Error downloading\nmany lines"), OSError("no space"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("held", [False, True])
def test_a_failed_download_is_one_line_and_leaves_nothing(tmp_path, fetched, name, error, held):
    fetched.error = error
    root = tmp_path / "absent"
    if held:
        root.mkdir()
        (root / "mine.txt").write_text("stays")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((DataError, KeyboardInterrupt)) as caught:
        load_data(f"{name}:{root}", download=True)
    if not isinstance(error, KeyboardInterrupt):
        assert "could not be downloaded; give the folder that holds torchvision's files" in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def silent_network(monkeypatch):
    """All servers are behind a proxy that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"http://127.0.0.1:{server.getsockname()[1]}"
        for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, where)
        for variable in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(torchvision_folders, "PATIENCE", 0.2)
        yield


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
def test_a_download_without_a_network_ends_in_one_line(tmp_path, silent_network, name, capfd):
    """It would wait for ever, were no server given up."""
    before = socket.getdefaulttimeout()
    asked = [
        "--preset",
        "digits-lenet",
        "--download",
        "--data",
        f"{name}:{tmp_path / 'absent'}",
        "--out",
        str(tmp_path / "run"),
    ]
    assert run(["train", *asked]) == 2
    out, (line,) = (part.splitlines() for part in capfd.readouterr())
    assert out == []
    assert line.startswith(f"error: {tmp_path / 'absent'}: holds no ")
    assert "could not be downloaded" in line
    assert "network connection" in line
    assert list(tmp_path.iterdir()) == []
    assert socket.getdefaulttimeout() == before


def test_a_download_comes_whole_and_once(tmp_path, fetched):
    root = tmp_path / "absent"
    for _ in range(2):
        assert np.array_equal(load_data(f"mnist:{root}", download=True).images["test"][:, 0], arrays()["x_test"])
    assert fetched.calls == 1
    assert sorted(entry.name for entry in root.iterdir()) == ["MNIST", "archive.tar.gz"]


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_nothing_is_downloaded_where_that_is_not_wanted(tmp_path, fetched, name):
    with pytest.raises(DataError, match="holds no .* data; give the folder .* or allow the download"):
        load_data(f"{name}:{tmp_path / 'absent'}", download=False)
    assert fetched.calls == 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        load_data(f"mnist:{tmp_path / 'file'}")
