"""How reading and writing NIR files fails: in one line."""

import os

import pytest
from asnn_exporters.nir import exporter, read

from asnn_deploy.errors import BundleError, GraphError, InputError


def refused(path):
    """The one-line error that reading a file ends with."""
    return refused_by(read, path, BundleError)


def refused_by(function, path, kind):
    """The one-line error of that kind that a function of a file's path ends with."""
    with pytest.raises(kind) as caught:
        function(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 500 + len(str(path))
    return message.removeprefix(f"{path}: ")


def unwritable(graph, tmp_path, **options):
    """The error that writing a network ends with."""
    with pytest.raises((GraphError, InputError)) as caught:
        exporter.write(graph, tmp_path, **options)
    assert not os.listdir(tmp_path)
    return str(caught.value)
