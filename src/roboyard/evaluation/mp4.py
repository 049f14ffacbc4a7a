"""An MP4 file from pictures, through the ffmpeg program that imageio-ffmpeg brings.

Its own writer is not used: it does not tell when ffmpeg fails, such as on a full disk (0.8.1).
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from roboyard.errors import MissingDependencyError, StorageError
from roboyard.evaluation.frames import Picture
from roboyard.storage import atomic

QUALITY = 21
"""x264's constant rate factor: 0 is lossless, 51 the worst; 23 is its default."""


class _Encoder:
    """One ffmpeg process; the first picture sets the size."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._fps = fps
        self._process: subprocess.Popen[bytes] | None = None

    def show(self, picture: Picture) -> None:
        """Append a picture of even width and height."""
        if self._process is None:
            self._process = self._start(picture.shape[1], picture.shape[0])
        assert self._process.stdin is not None
        self._process.stdin.write(np.ascontiguousarray(picture).data)

    def finish(self) -> str:
        """End the file and return ffmpeg's complaint, empty when there is none."""
        if self._process is None:
            return "there was no picture to write"
        # Closes the pipe, waits, and reads what ffmpeg says.
        complaint = self._process.communicate()[1].decode(errors="replace").strip()
        if self._process.returncode == 0:
            return ""
        return complaint.splitlines()[-1] if complaint else "ffmpeg stopped"

    def abandon(self) -> None:
        """Stop at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            with contextlib.suppress(OSError):
                self._process.communicate()

    def _start(self, width: int, height: int) -> subprocess.Popen[bytes]:
        source = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {self._fps:.6g} -i -"
        # yuv420p and faststart are what browsers need to play it, at once.
        target = f"-an -c:v libx264 -crf {QUALITY} -pix_fmt yuv420p -movflags +faststart -f mp4"
        command = [_program(), "-y", "-v", "error", *source.split(), *target.split()]
        return subprocess.Popen(
            [*command, str(self._path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process to handle
        )


@contextlib.contextmanager
def mp4_file(path: Path, fps: float) -> Iterator[Callable[[Picture], None]]:
    """Yield a function that appends a picture; the file appears whole at the end.

    Args:
        path: The file.
        fps: Pictures per second.

    Raises:
        StorageError: It cannot be written; nothing is left behind.
        MissingDependencyError: There is no ffmpeg.
    """
    with atomic.replaced_file(path) as temporary:
        encoder = _Encoder(temporary, fps)
        try:
            with contextlib.suppress(BrokenPipeError):  # finish() says why ffmpeg went
                yield encoder.show
            complaint = encoder.finish()
        finally:
            encoder.abandon()
        if complaint:
            raise StorageError(f"cannot write video '{path}': {complaint}.")


def _program() -> str:
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MissingDependencyError(
            "there is no ffmpeg to write videos with. "
            "Install it with: pip install --force-reinstall imageio-ffmpeg"
        ) from error
