"""Own pictures through the commands: classes keep their names, and every command prepares pictures alike."""

import json
import shutil
from html import unescape

import numpy as np
import pytest
from html_page import Page
from pictures import class_folders, painted
from reports import seen

from asnn_deploy.cli import run
from asnn_deploy.input.data import load_data
from asnn_deploy.input.pictures import pixels, read_picture, resized

NAMES = (
    "<b>cat",
    "[red]dog",
    "q\"u\no\x1bt\N{RIGHT-TO-LEFT OVERRIDE}e's",
    "\N{HIRAGANA LETTER NE}\N{HIRAGANA LETTER KO}|*_",
)
SMALL = ["--set", "model.widths=[6]", "--set", "model.hidden=16", "--epochs", "1", "--time-steps", "3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder trained on coloured pictures of four oddly named classes, made grey and smaller; and the pictures."""
    folder = tmp_path_factory.mktemp("own")
    pictures = class_folders(folder / "pictures", NAMES, 6, size=(12, 11), colour=True)
    choices = ["--set", "data.size=[9,8]", "--set", "data.grey=true"]
    out = folder / "run"
    assert (
        run(["train", "--preset", "digits-lenet", "--data", f"folder:{pictures}", *choices, *SMALL, "--out", str(out)])
        == 0
    )
    return out, pictures


def test_a_run_folder_keeps_names_and_choices(trained):
    out, pictures = trained
    summary = json.loads((out / "summary.json").read_text())
    assert summary["class_names"] == sorted(NAMES)
    assert f"data: folder,size=9x8,grey=true:{pictures}\n" in (out / "config.yaml").read_text()


def file_of(data, pictures, label):
    """The file that is the test picture of a class."""
    (image,) = data.images["test"][data.labels["test"] == label]
    files = (pictures / data.class_names[label]).iterdir()
    return next(f for f in files if np.array_equal(pixels(resized(read_picture(f), (9, 8)), 1), image))


@pytest.mark.parametrize("target", ["norse", "reference", "reference-fixed", "onnxruntime"])
def test_one_picture_is_prepared_as_those_of_the_data_set(trained, tmp_path, capsys, target):
    out, pictures = trained
    data = load_data(f"folder,size=9x8,grey=true:{pictures}")
    assert run(["run", str(out), "--target", target, "--outputs", str(tmp_path / "all.npz")]) == 0
    for label in (0, 3):
        capsys.readouterr()
        files = ["--json", str(tmp_path / "one.json"), "--outputs", str(tmp_path / "one.npz")]
        assert run(["run", str(out), "--target", target, "--image", str(file_of(data, pictures, label)), *files]) == 0
        shown = capsys.readouterr()
        assert not shown.err
        assert_safe(shown.out)
        one = json.loads((tmp_path / "one.json").read_text())
        assert one["class"] == sorted(NAMES)[one["predictions"][0]]
        logits, alone = (np.load(tmp_path / name)["logits"] for name in ("all.npz", "one.npz"))
        assert np.array_equal(logits[data.labels["test"] == label], alone)
        assert one["answers"] == pytest.approx(alone[0])


def assert_safe(text):
    assert not {"\x1b", "\N{RIGHT-TO-LEFT OVERRIDE}"} & set(text)
    assert "<b>cat" in text
    assert "[red]dog" in text
    assert r"""q"u\no\x1bt\u202ee's""" in text
    assert "\N{HIRAGANA LETTER NE}" in text


def test_reports_and_bundles_show_the_names(trained, tmp_path, capsys):
    out, _ = trained
    bundle = tmp_path / "bundle"
    assert run(["export", str(out), "--target", "nir", "--out", str(bundle)]) == 0
    assert json.loads((bundle / "manifest.json").read_text())["summary"]["class_names"] == sorted(NAMES)
    assert run(["report", str(bundle), "--out", str(tmp_path / "report")]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["class_names"] == sorted(NAMES)
    given = {row["class"]: dict(row["answers"]) for row in report["by_class"]}
    assert sum(map(sum, (answers.values() for answers in given.values()))) == report["samples"]
    right = sum(answers.get(c, 0) for c, answers in given.items())
    assert right == pytest.approx(report["accuracy"] * report["samples"])
    page = (tmp_path / "report" / "report.html").read_text()
    Page(page)  # tags close
    assert "&lt;b&gt;cat" in page
    assert "<b>cat" not in page
    assert_safe(unescape(page))
    assert_safe(unescape(seen((tmp_path / "report" / "report.md").read_text())))


def test_a_picture_of_another_size_is_stretched_and_said(run_folder, tmp_path, capsys):
    """Of a network that was trained on other data, whose classes have no names."""
    file = painted(tmp_path / "p.jpg", size=(30, 20), colour=True)
    assert run(["run", str(run_folder), "--target", "reference", "--image", str(file)]) == 0
    shown = capsys.readouterr()
    assert shown.err == f"note: {file} is 20 x 30 pixels, stretched to the network's 8 x 8\n"
    rows = [line.split() for line in shown.out.splitlines()]
    assert sorted(row[0] for row in rows[-10:]) == sorted(map(str, range(10)))
    assert float(rows[-10][1]) == max(float(row[1]) for row in rows[-10:])
    assert rows[0][-1] == rows[-10][0]


def test_the_split_is_said_once_and_only_if_all_went_well(trained, tmp_path, capsys):
    out, _ = trained
    assert run(["report", str(out), "--out", str(tmp_path / "report")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "4 classes, 20 training and 4 test pictures" in line


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda d: class_folders(d, ("emu",)), [], "has 5 classes, the network answers 4"),
        (lambda d: shutil.rmtree(d / NAMES[0]), [], "the network was trained on '<b>cat', '[red]dog', "),
        (lambda d: None, ["--image", "absent.png"], "absent.png: no such file; give a PNG or JPEG picture"),
        (lambda d: None, ["--image", "x.png", "--limit", "3"], "--image: is all that is run"),
    ],
)
def test_other_classes_and_pictures_that_are_not_there(trained, tmp_path, capsys, change, arguments, message):
    out, pictures = trained
    other = shutil.copytree(pictures, tmp_path / "other")
    change(other)
    given = arguments or ["--data", f"folder:{other}"]
    assert run(["run", str(out), "--target", "reference", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_another_folder_of_the_same_classes_is_prepared_alike(trained, tmp_path, capsys):
    out, _ = trained
    other = class_folders(tmp_path / "other", NAMES, 5, size=(40, 30))
    assert run(["run", str(out), "--target", "reference", "--data", f"folder:{other}"]) == 0
    assert "4 samples" in capsys.readouterr().out


def test_damaged_names_are_refused(trained, tmp_path, capsys):
    out, _ = trained
    copied = shutil.copytree(out, tmp_path / "run")
    summary = json.loads((copied / "summary.json").read_text())
    for names in (["a"], "abcd", [1, 2, 3, 4], ["a", "b", "c", "\udc80"]):
        (copied / "summary.json").write_text(json.dumps(summary | {"class_names": names}))
        assert run(["inspect", str(copied)]) == 2
        assert "class_names of its summary are not 4 texts" in capsys.readouterr().err


@pytest.mark.parametrize("flag", [["--download"], [], ["--no-download"]])
def test_the_flag_decides_whether_data_are_fetched(tmp_path, monkeypatch, capsys, flag):
    from torchvision import datasets

    def offline(root, download):
        raise RuntimeError("offline")

    monkeypatch.setattr(datasets, "MNIST", offline)
    data = ["--data", f"mnist:{tmp_path / 'absent'}"]
    assert run(["train", "--preset", "digits-lenet", *data, *flag, "--out", str(tmp_path / "run")]) == 2
    wanted = "could not be downloaded" if flag == ["--download"] else "or download it with --download"
    assert wanted in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
