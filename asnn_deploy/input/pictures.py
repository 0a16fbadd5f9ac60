"""PNG and JPEG files as 8-bit pixels. Pillow is asked when needed."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asnn_deploy.errors import DataError
from asnn_deploy.ir.images import PIXEL_MAX
from asnn_deploy.util.arrays import Array
from asnn_deploy.util.files import describe

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = (1, 3)
"""Of grey and of coloured images."""
SUFFIXES = (".png", ".jpg", ".jpeg")
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
DEEP = np.iinfo(np.uint16).max
"""White in pictures of 16 bits."""
DAMAGE = (OSError, EOFError, SyntaxError, ValueError, TypeError, IndexError, OverflowError, struct.error, zlib.error)
"""What Pillow raises for files that are not what they should be."""


def read_picture(file: Path) -> Image:
    """Return a picture, turned upright as its EXIF data say, grey ("L") or in colour ("RGB"); transparency is dropped.

    Raises DataError naming the file if it is not a readable PNG or JPEG file, is animated, or has so many pixels that
    Pillow warns of a decompression bomb.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not file.is_file():
        raise DataError(f"{file}: {'is not a file' if file.exists() else 'no such file'}; give a PNG or JPEG picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as opened:
                if opened.format == "PNG" and getattr(opened, "is_animated", False):
                    raise DataError(f"{file}: is animated; give one picture")
                opened.load()
                return ImageOps.exif_transpose(_eight_bit(opened))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = f"{Image.MAX_IMAGE_PIXELS:,} pixels" if Image.MAX_IMAGE_PIXELS else "Pillow's limit"
        raise DataError(f"{file}: is larger than {most}; make it smaller") from None
    except DAMAGE as error:
        reason = "it is neither" if isinstance(error, UnidentifiedImageError) else describe(error)
        raise DataError(f"{file}: not a readable PNG or JPEG picture ({reason}); replace it or take it out") from None


def resized(picture: Image, size: tuple[int, int]) -> Image:
    """Return a picture stretched to a (height, width): bilinear, over all pixels that shrink into one."""
    from PIL import Image

    height, width = size
    return picture if picture.size == (width, height) else picture.resize((width, height), Image.Resampling.BILINEAR)


def pixels(picture: Image, channels: int) -> Array:
    """Return a picture of `read_picture` as uint8 `[C, H, W]`, with 1 channel or 3."""
    array: Array = np.array(picture.convert("L" if channels == 1 else "RGB"))
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _eight_bit(picture: Image) -> Image:
    """The picture as "L" or "RGB"; of 16 bits, the nearest of 256 levels."""
    from PIL import Image

    if picture.mode.startswith("I"):
        deep = np.asarray(picture).astype(np.float64).clip(0, DEEP)
        eight = Image.fromarray(np.rint(deep * (PIXEL_MAX / DEEP)).astype(np.uint8))
        eight.info.update(picture.info)
        return eight
    return picture.convert("L" if picture.mode in GREY_MODES else "RGB")
