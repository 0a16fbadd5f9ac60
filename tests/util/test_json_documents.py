"""Documents read back: whatever stands in a damaged file, there is one line that names the file, or a whole model."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks.lenet import small_lenet
from reports import full_report

from asnn_deploy.deploy.bundle import Manifest
from asnn_deploy.errors import BundleError
from asnn_deploy.fitting import fit, load_chip
from asnn_deploy.fitting.document import FitDocument
from asnn_deploy.reporting.figures import Report
from asnn_deploy.sweeping.points import Point, Points
from asnn_deploy.util.document import read_document
from asnn_deploy.verifying.document import Verification

ODD = ('"x"', "3", "-1", "1.5", "1e308", "1e999", "NaN", '"nan"', "null", "true", "[]", "{}", r'"\ud800"', "9" * 5000)


@pytest.fixture(scope="module")
def documents():
    """Of each model, the JSON of one."""
    report = full_report()
    point = {"bits": 4, "method": "qat", "epochs": 2, "inputs": "0", "accuracy": 0.5, "accuracy_float": 0.5}
    point |= {"spike_disagreement": 0.0, "synapse_bytes": 9, "weight_scales": 3, "sops": 1.5, "samples": 8}
    manifest = {"schema": 1, "format": "nir", "time_steps": 4, "files": {"a": "0"}, "created_by": "asnn-deploy 1"}
    return {
        Report: report.to_json(),
        Verification: report.verify.to_json(),
        FitDocument: fit(small_lenet(), load_chip("loihi2")).to_json(),
        Points: [Point.model_validate(point).to_json()],
        Manifest: manifest | {"data": None, "summary": {"test_accuracy": 0.5, "snapping": [1.0]}},
    }


def places(value, path=()):
    """The paths of all values in plain JSON."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], new)
    return copied


def without(value, path):
    copied = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copied[path[0]]
    else:
        copied[path[0]] = without(value[path[0]], path[1:])
    return copied


@pytest.mark.parametrize("model", [Report, Verification, FitDocument, Points, Manifest])
def test_what_is_written_is_read_back(documents, tmp_path, model):
    file = tmp_path / "file.json"
    file.write_text(json.dumps(documents[model]))
    found = read_document(file, model, "it", "again")
    assert found.model_dump(mode="json", by_alias=True, exclude_unset=True) == documents[model]
    assert model.model_validate_json(json.dumps(documents[model])) == found


@pytest.mark.parametrize("model", [Report, Verification, FitDocument, Points, Manifest])
@given(data=st.data())
def test_damage_is_one_line_and_what_passes_is_finite(documents, tmp_path_factory, model, data):
    whole = documents[model]
    path = data.draw(st.sampled_from(list(places(whole))))
    odd = data.draw(st.sampled_from([*ODD, None]))
    changed = without(whole, path) if odd is None and path else replaced(whole, path, "@")
    file = tmp_path_factory.mktemp("damaged") / "file.json"
    file.write_text(json.dumps(changed).replace('"@"', odd or "null"))
    try:
        found = read_document(file, model, "it", "make it again")
    except BundleError as error:
        said = str(error)
        assert said.startswith(f"{file}: not it (")
        assert said.endswith("); make it again")
        assert said.isprintable()
        assert len(said) < len(str(file)) + 500
    else:
        json.dumps(found.model_dump(mode="json"), allow_nan=False).encode()
