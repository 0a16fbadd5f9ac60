"""Files and folders get the permissions that the user's umask gives, whoever writes them."""

import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from asnn_deploy.util.files import replacing, replacing_folder, write_text


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


def test_new_files_and_folders_follow_the_umask(umask, tmp_path):
    write_text(tmp_path / "text", "new")
    with replacing(tmp_path / "weights") as temporary:
        save_file({"w": np.zeros(3, np.float32)}, temporary)  # puts a file of its own there
    with replacing_folder(tmp_path / "folder", lambda _: None):
        pass
    assert mode(tmp_path / "text") == mode(tmp_path / "weights") == 0o666 & ~umask
    assert mode(tmp_path / "folder") == 0o777 & ~umask
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "text", "weights"]


def test_a_file_that_is_replaced_keeps_its_permissions(umask, tmp_path):
    (tmp_path / "weights").write_text("old")
    (tmp_path / "weights").chmod(0o640)
    with replacing(tmp_path / "weights") as temporary:
        save_file({"w": np.zeros(3, np.float32)}, temporary)
    assert mode(tmp_path / "weights") == 0o640
