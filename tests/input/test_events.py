"""Recordings of event cameras, made byte by byte, and the frames that they become."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks.making import constant, grid_weights, linked, static_neuron

import asnn_deploy
from asnn_deploy.cli import run as command_line
from asnn_deploy.errors import DataError
from asnn_deploy.input.data import load_data
from asnn_deploy.input.events.frames import FrameChoices, Framing
from asnn_deploy.input.events.nmnist import read_recording
from asnn_deploy.input.events.recording import Recording, Sensor
from asnn_deploy.ir.inputs import SequenceInput
from asnn_deploy.ir.layers import Conv, Flatten, Linear, Readout


def event(x, y, polarity, time):
    """The five bytes of an event of N-MNIST."""
    return bytes([x, y, polarity << 7 | time >> 16, time >> 8 & 0xFF, time & 0xFF])


FEW = [event(1, 2, 1, 100_000), event(33, 0, 0, 900_000)]


def network(steps):
    """A convolution, neurons and ten answers for frames of N-MNIST."""
    rng = np.random.default_rng(0)
    layers = (
        Conv("conv", constant(grid_weights(rng, (2, 2, 4, 4)), steps), None, stride=(4, 4)),
        static_neuron("lif", steps),
        Flatten("flat"),
        Linear("out", constant(grid_weights(rng, (10, 2 * 8 * 8)), steps)),
        Readout("readout", constant(1.0, steps)),
    )
    return linked((2, 34, 34), SequenceInput(steps), layers, {})


def nmnist(folder, train=FEW, test=FEW, labels=(0, 7)):
    for split, events in (("Train", train), ("Test", test)):
        for label in labels:
            place = folder / split / str(label)
            place.mkdir(parents=True)
            (place / "00001.bin").write_bytes(b"".join(events))
    return folder


def test_a_recording_is_read_byte_by_byte(tmp_path):
    file = tmp_path / "r.bin"
    file.write_bytes(bytes.fromhex("01028186a021000dbba005f00dbba004030dbba1"))
    found = read_recording(file)
    assert (found.x.tolist(), found.y.tolist(), found.polarity.tolist()) == ([1, 33, 4], [2, 0, 3], [1, 0, 0])
    assert found.times.tolist() == [100_000, 900_000, 900_001 + 2**13]  # y = 240: the clock went over


def test_two_events_of_a_second_are_five_frames(tmp_path):
    """In windows of 200 ms from the clock's start, however much later the first event is."""
    data = load_data(f"nmnist,time_steps=5,bin=200000:{nmnist(tmp_path)}")
    assert (data.kind, data.classes, data.images["train"].shape, data.note) == ("spikes", 10, (2, 5, 2, 34, 34), "")
    assert np.argwhere(data.images["test"][0]).tolist() == [[0, 1, 2, 1], [4, 0, 0, 33]]
    assert sorted(data.labels["test"]) == [0, 7]


def test_events_after_the_last_window_are_told(tmp_path):
    data = load_data(f"nmnist,time_steps=4,bin=200000:{nmnist(tmp_path)}")
    assert data.note == "4 of 8 events come after 4 windows of 200,000 µs and are left out"
    assert data.images["train"].sum() == 2


def test_without_a_bin_the_recording_is_cut_from_its_first_event_to_its_last(tmp_path):
    events = [event(0, 0, 0, time) for time in (100, 109, 110, 119)]
    frames = load_data(f"nmnist,time_steps=2,counts=9:{nmnist(tmp_path, events, events)}").images["test"][0]
    assert frames[:, 0, 0, 0].tolist() == [2, 2]


recordings = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(0, 1), st.integers(0, 50)), min_size=1, max_size=30
).map(lambda events: sorted(events, key=lambda each: each[3]))


@given(
    recordings,
    st.integers(1, 6),
    st.one_of(st.none(), st.integers(1, 20)),
    st.integers(1, 3),
    st.one_of(st.none(), st.integers(1, 3)),
)
def test_frames_equal_a_loop_over_events(events, steps, width, across, most):
    framing = Framing(Sensor(5, 7), FrameChoices(time_steps=steps, bin=width, downsample=across, counts=most))
    expected, late = np.zeros(framing.shape, int), 0
    first, last = events[0][3], events[-1][3]
    for x, y, polarity, time in events:
        step = time // width if width else int((time - first) * steps / (last - first + 1))
        if step < steps:
            expected[step, polarity, y // across, x // across] += 1
        else:
            late += 1
    frames = np.zeros(framing.shape, np.uint8)
    framing.fill(frames, Recording(*(np.array(each, np.int64) for each in zip(*events))))
    np.testing.assert_array_equal(frames, np.minimum(expected, most or 1))
    assert (framing.events, framing.outside) == (len(events), late)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"".join(FEW)[:-2], "torn at byte 5: 3 of the 5 bytes of an event"),
        (b"", "holds no event"),
        (event(0, 240, 0, 5), "holds no event"),
        (event(1, 1, 0, 5) + event(34, 1, 0, 6), "event 1 lies at x = 34, y = 1, beyond the sensor's 34 x 34 pixels"),
        (event(1, 1, 0, 5) + event(1, 1, 0, 4), "event 1 is of 4 µs, the one before of 5 µs; times must not run back"),
    ],
)
def test_damaged_recordings(tmp_path, content, message):
    file = nmnist(tmp_path) / "Test" / "7" / "00001.bin"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_data(f"nmnist:{tmp_path}")
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "choices", "message"),
    [
        (lambda d: d.mkdir(exist_ok=True), "", "has no folder Train; give the folder with N-MNIST's Train and Test"),
        (lambda d: (d / "Train").mkdir(), "", "Train: holds no recordings, LABEL/"),
        (lambda d: nmnist(d, labels=("cat",)), "", "has a folder 'cat'; N-MNIST's classes are the folders 0 to 9"),
        (nmnist, ",time_steps=0", "data.time_steps = 0: "),
        (nmnist, ",bin=0", "data.bin = 0: "),
        (nmnist, ",counts=256", "data.counts = 256: "),
        (nmnist, ",step=3", "did you mean 'data.time_steps'"),
        (nmnist, ",time_steps=100000000", "data.time_steps = 100000000: "),
    ],
)
def test_folders_and_choices_that_cannot_be_used(tmp_path, made, choices, message):
    made(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        load_data(f"nmnist{choices}:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_frames_beyond_the_memory_are_refused_before_they_are_made():
    framing = Framing(Sensor(1280, 720), FrameChoices(time_steps=1000))
    with pytest.raises(DataError, match="frames of 100 recordings take 172 GiB, at most 16 GiB are allowed"):
        framing.check_room(100, Path("here"))


def test_a_network_of_sequences_runs_on_recordings(tmp_path, capsys):
    """Exact on every target; training, which takes images, says so."""
    folder = nmnist(tmp_path / "data")
    asnn_deploy.save(network(5), tmp_path / "net.nir")
    spec = f"nmnist,time_steps=5:{folder}"
    assert command_line(["verify", str(tmp_path / "net.nir"), "--data", spec]) == 0
    capsys.readouterr()
    out = tmp_path / "run"
    assert command_line(["train", "--preset", "digits-lenet", "--data", spec, "--out", str(out)]) == 2
    assert f"{spec}: holds frames of spikes; networks are trained on images here" in capsys.readouterr().err
    assert not out.exists()
