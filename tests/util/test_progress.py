"""Progress: who hears what, when nothing may be said, and what time is left."""

import io
import os
import threading
import time

import pytest

import asnn_deploy
from asnn_deploy.util import progress, progress_lines
from asnn_deploy.util.progress import batches, in_words, listening, phase, plan, time_left, track


@pytest.fixture
def hasty(monkeypatch):
    """Lines come as soon as somebody looks."""
    for name in ("PATIENCE", "SHORTEST", "OFTEN", "SHARE", "MOST"):
        monkeypatch.setattr(progress_lines, name, 0.0)


def until(holds):
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


def test_nobody_hears_anything_who_did_not_ask(capfd):
    for _ in track(range(3), "work"):
        time.sleep(2 * progress.LOOK)
    assert capfd.readouterr() == ("", "")


def test_lines_name_every_phase_and_have_no_carriage_returns(hasty):
    heard = io.StringIO()
    with asnn_deploy.show_progress(heard), phase("outer"):
        for _ in track("ab", "inner"):
            until(lambda: "outer: inner" in heard.getvalue())
        with phase("train") as training:
            training.say("epoch 1 of 2\r, loss 3")
    lines = heard.getvalue().splitlines()
    assert "outer: train: epoch 1 of 2\\r, loss 3" in lines
    assert "\r" not in heard.getvalue()


def test_a_short_phase_is_not_named():
    heard = io.StringIO()
    with asnn_deploy.show_progress(heard):
        for _ in track(range(3), "short"):
            pass
    assert heard.getvalue() == ""


def test_a_phase_in_another_thread_is_heard(hasty):
    heard = io.StringIO()

    def work():
        with phase("threaded"):
            until(lambda: "threaded" in heard.getvalue())

    with asnn_deploy.show_progress(heard), phase("outer"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert "outer: threaded" in heard.getvalue()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_is_silent_and_works(hasty, capfd):
    with asnn_deploy.show_progress(), phase("parent"):
        child = os.fork()
        if not child:
            with phase("child"):
                time.sleep(3 * progress.LOOK)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert "child" not in capfd.readouterr().err


def test_an_error_in_a_loop_leaves_nothing_under_way():
    def fail():
        for _ in track(range(3), "loop"):
            raise ValueError

    with pytest.raises(ValueError) as kept, phase("outer"):  # the error keeps the loop's generator alive
        fail()
    assert kept.value is not None
    assert progress._state.phases == []


def test_a_closed_file_is_no_error(hasty):
    heard = io.StringIO()
    heard.close()
    with asnn_deploy.show_progress(heard), phase("work"):
        time.sleep(3 * progress.LOOK)


def test_a_phase_within_one_of_its_name_is_part_of_it():
    with phase("compile") as outer, phase("compile") as inner:
        assert inner is outer


def test_the_time_left_is_that_of_all_phases(clock):
    with plan({"train": 30, "skipped": 5, "evaluate": 10}):
        assert time_left() is None, "nothing is known yet"
        with phase("train", total=3) as training:
            clock.now += 10
            training.advance()
            assert time_left() == pytest.approx(20 + 5 + 10)
            clock.now += 20
            training.advance(2)
        assert time_left() == pytest.approx(15)
        with phase("evaluate"):
            assert time_left() == pytest.approx(10)
            clock.now += 4
            assert time_left() == pytest.approx(6)
            clock.now += 40
            assert time_left() == 0, "never negative"


def test_what_is_done_once_says_nothing_of_the_time_left(clock):
    with phase("run", total=4) as running:
        with phase("compile", once=True), phase("compile", once=True):
            clock.now += 100
        clock.now += 1
        running.advance()
        assert time_left() == pytest.approx(3)


def test_a_plan_within_a_phase_counts_for_the_plan_around_it(clock):
    with plan({"train": 1, "verify": 2}):
        with phase("train"), plan({"epochs": 3, "evaluate": 1}):
            with phase("epochs", total=1) as epochs:
                clock.now += 30
                epochs.advance()
            assert time_left() == pytest.approx(10 + 2 * 40)
            with phase("evaluate"):
                clock.now += 10
        assert time_left() == pytest.approx(80)


def test_batches_cover_all_samples_once():
    cuts = list(batches(10, 4, "run"))
    assert [list(range(10))[cut] for cut in cuts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_who_listened_before_listens_again(hasty):
    outer, inner = io.StringIO(), io.StringIO()
    with asnn_deploy.show_progress(outer):
        with asnn_deploy.show_progress(inner), phase("inner") as one:
            one.say("reached")
        with listening(None), phase("unheard") as one:
            one.say("reached")
        with phase("outer") as one:
            one.say("reached")
    assert "inner: reached\n" in inner.getvalue()
    assert "outer: reached\n" in outer.getvalue()
    assert "unheard" not in outer.getvalue() + inner.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (99.4, "99 s"), (100, "2 min"), (5990, "1 h 40 min"), (6060, "1 h 41 min")]
)
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words


def test_lines_become_rarer_but_never_stop(clock):
    """Of a phase whose parts alternate, as targets do in `verify`."""
    heard, times = progress_lines.Lines(io.StringIO()), []
    heard._write = lambda text: (times.append(clock.now), setattr(heard, "last", clock.now))
    with phase("verify") as outer:
        while clock.now < 3600:
            with phase("lava") as inner:
                for _ in range(20):
                    heard.look([outer, inner])
                    clock.now += 0.1
    gaps = [later - sooner for sooner, later in zip([0.0, *times], times)]
    assert all(gap <= max(2, 0.1 * time) + 0.5 for gap, time in zip(gaps, times)), "two seconds, or a tenth"
    assert max(gaps) <= progress_lines.MOST + 0.5
    assert len(times) < 150
