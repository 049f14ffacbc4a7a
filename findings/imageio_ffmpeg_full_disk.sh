#!/usr/bin/env bash
# Guess: imageio-ffmpeg's write_frames raises when ffmpeg cannot write the video, since it says of
#   failed writes that they raise IOError with ffmpeg's words.
# Seen with imageio-ffmpeg 0.8.1 and the ffmpeg it brings: on a device without space the video is
#   lost and nothing is raised, neither by send() nor by close(): ffmpeg's exit status is not read.
#   (Roboyard drives ffmpeg itself and reports what it says; evaluation/mp4.py.)
# Output seen:
#   5 frames: no error
#   400 frames: no error
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check imageio-ffmpeg==0.8.1
cat >video.py <<'P'
import imageio_ffmpeg

for count in (5, 400):
    writer = imageio_ffmpeg.write_frames(
        "/dev/full", (64, 48), fps=20, codec="mpeg4", macro_block_size=1,
        ffmpeg_log_level="quiet", output_params=["-f", "matroska"],
    )
    writer.send(None)
    try:
        for number in range(count):
            writer.send(bytes([number % 255]) * (64 * 48 * 3))
        writer.close()
        print(f"{count} frames: no error")
    except OSError as error:
        print(f"{count} frames: {type(error).__name__}")
P
seen=$(venv/bin/python video.py)
echo "$seen"
test "$seen" = "5 frames: no error
400 frames: no error"
