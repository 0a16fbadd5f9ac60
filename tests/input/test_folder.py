"""Pictures in class folders become a data set, the same one every time, or are refused by name."""

import os
import struct
import zlib

import numpy as np
import pytest
from pictures import class_folders, painted
from PIL import Image

from asnn_deploy.errors import DataError
from asnn_deploy.input.choices import DataText, inheriting
from asnn_deploy.input.data import load_data
from asnn_deploy.input.pictures import pixels, read_picture, resized


def test_classes_are_sorted_folders_and_a_fifth_is_for_testing(tmp_path):
    data = load_data(f"folder:{class_folders(tmp_path, ('b', 'a', 'C'), 10)}")
    assert data.class_names == ("C", "a", "b")
    assert (data.classes, data.shape) == (3, (1, 8, 8))
    assert np.bincount(data.labels["train"]).tolist() == [8, 8, 8]
    assert np.bincount(data.labels["test"]).tolist() == [2, 2, 2]
    assert "24 training and 6 test pictures" in data.note
    assert "drawn with seed 0" in data.note
    again = load_data(data.spec)
    assert all(np.array_equal(data.images[split], again.images[split]) for split in data.images)
    everything = {image.tobytes() for split in data.images for image in data.images[split]}
    assert len(everything) == 30, "no picture is in both parts"
    for image, label in zip(data.images["test"], data.labels["test"]):
        files = (tmp_path / data.class_names[label]).iterdir()
        assert any(np.array_equal(np.asarray(Image.open(file)), image[0]) for file in files)


def test_another_class_does_not_change_the_split_of_the_others(tmp_path):
    before = load_data(f"folder:{class_folders(tmp_path, ('b', 'c'))}")
    class_folders(tmp_path, ("a",), 7)
    after = load_data(f"folder:{tmp_path}")
    named = [
        {(x.tobytes(), d.class_names[y]) for x, y in zip(d.images["test"], d.labels["test"])} for d in (before, after)
    ]
    assert named[0] < named[1]
    assert {name for _, name in named[1] - named[0]} == {"a"}


def test_the_first_few_are_of_all_classes(tmp_path):
    """What looks at some samples only, such as the choice of weight clips, takes the first ones."""
    data = load_data(f"folder:{class_folders(tmp_path, 'abcd', 40)}")
    assert set(data.part("train", 32)[1]) == set(data.part("test", 16)[1]) == {0, 1, 2, 3}


def test_train_and_test_folders_are_the_parts(tmp_path):
    class_folders(tmp_path / "train", count=4)
    class_folders(tmp_path / "test", count=1)
    (tmp_path / "val" / "cat").mkdir(parents=True)
    data = load_data(f"folder:{tmp_path}")
    assert (len(data.labels["train"]), sorted(data.labels["test"])) == (8, [0, 1])
    assert "not read: val" in data.note
    assert "seed" not in data.note
    class_folders(tmp_path / "test", ("bird",), 1)
    with pytest.raises(DataError, match="train: lacks the class folder 'bird'"):
        load_data(f"folder:{tmp_path}")


def test_a_class_may_be_called_train(tmp_path):
    assert load_data(f"folder:{class_folders(tmp_path, ('plane', 'train'))}").class_names == ("plane", "train")


def test_grey_pictures_have_one_channel_and_one_in_colour_makes_all_three(tmp_path):
    class_folders(tmp_path)
    assert load_data(f"folder:{tmp_path}").shape == (1, 8, 8)
    assert load_data(f"folder,grey=false:{tmp_path}").shape == (3, 8, 8)
    painted(tmp_path / "cat" / "5.jpg", colour=True)
    assert load_data(f"folder:{tmp_path}").shape == (3, 8, 8)
    assert load_data(f"folder,grey=true:{tmp_path}").shape == (1, 8, 8)


def test_pictures_are_stretched_to_the_chosen_size(tmp_path):
    class_folders(tmp_path, size=(9, 14))
    painted(tmp_path / "cat" / "5.PNG", size=(20, 20))
    data = load_data(f"folder,size=6x7:{tmp_path}")
    assert data.shape == (1, 6, 7)
    assert data.spec == f"folder,size=6x7:{tmp_path}"
    files = [file for name in ("cat", "dog") for file in (tmp_path / name).iterdir()]
    one_by_one = {pixels(resized(read_picture(file), (6, 7)), 1).tobytes() for file in files}
    assert {image.tobytes() for split in data.images for image in data.images[split]} == one_by_one


def test_sixteen_bits_transparency_palettes_and_upright(tmp_path):
    deep = np.array([[0, 257, 65535, 128 * 257]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert pixels(read_picture(tmp_path / "deep.png"), 1).tolist() == [[[0, 1, 255, 128]]]
    Image.fromarray(np.array([[[10, 20, 30, 0]]], np.uint8)).save(tmp_path / "clear.png")
    assert pixels(read_picture(tmp_path / "clear.png"), 3).ravel().tolist() == [10, 20, 30]
    Image.fromarray(np.array([[[10, 20, 30]]], np.uint8)).convert("P").save(tmp_path / "palette.png")
    assert read_picture(tmp_path / "palette.png").mode == "RGB"
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: turn by a quarter
    Image.new("L", (4, 2)).save(tmp_path / "turned.jpg", exif=turned)
    assert read_picture(tmp_path / "turned.jpg").size == (2, 4)


def bomb():
    """A PNG that says it is 60,000 x 60,000 pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(60_001)))
        + chunk(b"IEND", b"")
    )


def animated(file):
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 255)]
    frames[0].save(file, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.write_bytes(b""), "2.png: not a readable PNG or JPEG picture"),
        (
            lambda f: f.write_bytes(b"GIF89a" + bytes(50)),
            r"2.png: not a readable PNG or JPEG picture \(it is neither\)",
        ),
        (lambda f: f.write_bytes(f.read_bytes()[:-40]), "2.png: not a readable PNG or JPEG picture"),
        (lambda f: f.write_bytes(bomb()), "2.png: is larger than .* pixels; make it smaller"),
        (animated, "2.png: is animated; give one picture"),
        (lambda f: painted(f, size=(9, 8)), r"2.png is 8 x 9, .*0.png is 8 x 8 pixels .*set data.size=8x8"),
        (lambda f: (f.unlink(), f.mkdir()), "2.png: is not a file"),
        (lambda f: (f.unlink(), f.symlink_to(f)), "2.png: no such file"),
        (lambda f: (f.unlink(), f.symlink_to("absent")), "2.png: no such file"),
        (lambda f: (f.unlink(), os.mkfifo(f)), "2.png: is not a file"),
    ],
)
def test_pictures_that_cannot_be_used_are_named(tmp_path, damage, message):
    damage(class_folders(tmp_path) / "dog" / "2.png")
    with pytest.raises(DataError, match=message) as caught:
        load_data(f"folder:{tmp_path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda d: None, "holds no class folders; put the pictures of each class into a folder"),
        (lambda d: painted(d / "0.png"), "holds no class folders"),
        (lambda d: class_folders(d, ("cat",)), "holds only the class folder 'cat'"),
        (lambda d: (class_folders(d), (d / "emu").mkdir()), r"emu: holds no picture \(.png, .jpg, .jpeg\)"),
        (lambda d: (class_folders(d), painted(d / "emu" / "0.png")), "emu: holds one picture .* at least two"),
        (lambda d: (class_folders(d), (d / "self").symlink_to(d)), "self: holds no picture"),
        (
            lambda d: class_folders(d, ("cat", os.fsdecode(b"d\xffg"))),
            "the name of class folder .*udcff.* is not Unicode",
        ),
        (lambda d: class_folders(d / "train"), "has train/ but no test/; add it .* or give .*train, to have a part of"),
        (lambda d: class_folders(d / "test"), "has test/ but no train/; add it with the same class folders"),
        (lambda d: (class_folders(d), d.rename(f"{d}2"), d.symlink_to(d)), "no such folder"),
        (lambda d: (d.rmdir(), d.write_text("x")), "is a file; give a folder"),
    ],
)
def test_folders_that_hold_no_classes(tmp_path, made, message):
    folder = tmp_path / "pictures"
    folder.mkdir()
    made(folder)
    with pytest.raises(DataError, match=message) as caught:
        load_data(f"folder:{folder}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ("size=0x8", r"data.size = \[0, 8\]: allowed: \[height, width\] in pixels, each from 1 to"),
        ("size=8x8x8", "data.size = .*allowed"),
        ("size=small", "data.size = 'small': allowed"),
        ("size=99999", "data.size = 99999: allowed"),
        ("grey=perhaps", "data.grey = 'perhaps'"),
        ("gray=true", "unknown choice of data set 'folder' 'data.gray'; did you mean 'data.grey'"),
        ("grey", "'grey' after the name; expected KEY=VALUE"),
    ],
)
def test_choices_that_a_folder_does_not_have(tmp_path, choices, message):
    with pytest.raises(DataError, match=message):
        load_data(f"folder,{choices}:{class_folders(tmp_path)}")


def test_a_text_keeps_its_choices_and_its_path_whatever_that_holds():
    text = DataText.of("folder,size=6x7,grey=true:/a,b=c:d?x")
    assert (text.name, text.path, text.choices) == ("folder", "/a,b=c:d?x", {"size": [6, 7], "grey": True})
    assert str(text) == "folder,size=6x7,grey=true:/a,b=c:d?x"
    assert str(text.choosing({"size": None, "grey": False})) == "folder,grey=false:/a,b=c:d?x"
    assert str(DataText("folder", "x").choosing({"size": "8x9"})) == "folder,size=8x9:x"
    with pytest.raises(DataError, match="data.size = "):
        str(text.choosing({"size": {"a": 1}}))


def test_another_folder_is_prepared_as_the_remembered_one_unless_it_says_how():
    assert inheriting("folder:x", "folder,size=8x8:y") == "folder,size=8x8:x"
    assert inheriting("folder,grey=true:x", "folder,size=8x8:y") == "folder,size=8x8,grey=true:x"
    assert inheriting("folder,size=null:x", "folder,size=8x8:y") == "folder:x"
    assert str(DataText.of("folder,size=null:x")) == "folder,size=null:x"
    assert inheriting("npz:x", "folder,size=8x8:y") == "npz:x"
    assert inheriting("folder:x", None) == "folder:x"
