"""Pictures: size and caption."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
"""An RGB picture, shape (height, width, 3)."""


def fitted(picture: Picture, size: tuple[int, int] | None = None) -> Picture:
    """Return the picture in the given size, with even sides, which H.264 needs.

    Args:
        picture: Any RGB picture.
        size: Width and height [pixels]; the picture keeps its proportions, with black bars. By
            default its own size, less a last odd row and column.
    """
    height, width = picture.shape[:2]
    if size is None:
        return picture[: max(height // 2, 1) * 2, : max(width // 2, 1) * 2]
    target = (max(size[0] // 2, 1) * 2, max(size[1] // 2, 1) * 2)
    if target == (width, height):
        return picture
    scale = min(target[0] / width, target[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("RGB", target)
    place = ((target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2)
    canvas.paste(Image.fromarray(picture).resize(inner, Image.Resampling.LANCZOS), place)
    return np.asarray(canvas)


def caption(picture: Picture, text: str) -> Picture:
    """Return a copy with white text on a dark strip in the top left corner."""
    image = Image.fromarray(picture).convert("RGB")
    font = _font(max(11, image.height // 24))
    draw = ImageDraw.Draw(image, "RGBA")
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = max(4, image.height // 90)
    draw.rectangle((0, 0, right - left + 2 * pad, bottom - top + 2 * pad), fill=(0, 0, 0, 150))
    draw.text((pad - left, pad - top), text, font=font, fill=(255, 255, 255, 255))
    return np.asarray(image)


@functools.lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
