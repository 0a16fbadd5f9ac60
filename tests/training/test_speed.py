"""What a training's images per second are: of batches that are trained on, once everything is compiled."""

from types import SimpleNamespace

import pytest

from asnn_deploy.training import speed
from asnn_deploy.training.progress import epoch_of


def trained(clock, epochs, between=100):
    """The speed after epochs of batches: each the images and the seconds that it takes."""
    found = speed.Speed()
    for batches in epochs:
        clock.now += between
        found.on_train_epoch_start(None, None)
        for images, seconds in batches:
            clock.now += seconds
            found.on_train_batch_end(None, None, None, [[0] * images], 0)
    return found.images_per_second


def test_neither_compilation_nor_what_is_done_between_epochs_counts(clock):
    assert trained(clock, [[(32, 60), (32, 2), (16, 1)], [(32, 2), (32, 2)]]) == pytest.approx(112 / 7)


def test_the_only_batch_counts(clock):
    assert trained(clock, [[(32, 4)]]) == 8
    assert trained(clock, []) == 0


@pytest.mark.parametrize(("begun", "told"), [(0, 1), (1, 2), (2, 3), (3, 3)])
def test_the_epochs_that_are_told_end_with_the_last(begun, told):
    """Lightning counts one on when the last has ended, and somebody may look then."""
    assert epoch_of(SimpleNamespace(current_epoch=begun, max_epochs=3)) == f"epoch {told} of 3"
