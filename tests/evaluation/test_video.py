import re
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from evaluation_envs import Countdown

from roboyard.config.schema import EnvConfig
from roboyard.errors import ConfigError, PolicyError, StorageError
from roboyard.evaluation.evaluator import Evaluator
from roboyard.evaluation.frames import caption, fitted
from roboyard.evaluation.mp4 import mp4_file
from roboyard.evaluation.policies import resolve_policy
from roboyard.evaluation.video import record_video, watch

COUNTDOWN = EnvConfig(id="evaluation_envs:Countdown", workers=0)
CARTPOLE = EnvConfig(id="roboyard/SimpleRobot-v0", workers=0)


def facts(path):
    """Return what ffmpeg says of the video stream, and its number of pictures."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    stream = next(line for line in said.splitlines() if "Video: h264" in line)
    return stream, int(re.findall(r"frame=\s*(\d+)", said)[-1])


def test_a_video_is_h264_that_browsers_play_at_the_control_rate(tmp_path):
    path = tmp_path / "videos" / "zero.mp4"
    video = record_video(COUNTDOWN, resolve_policy("zero", COUNTDOWN), path, max_steps=30)
    stream, count = facts(path)
    assert "yuv420p" in stream
    assert "20 fps" in stream
    assert video.fps == 20.0
    assert "62x40" in stream  # 63 x 41, made even
    assert count == video.frames >= 31
    # The index stands before the pictures, so that playing starts at once.
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert [file.name for file in path.parent.iterdir()] == ["zero.mp4"]


def test_a_video_shows_the_episodes_of_the_evaluation(tmp_path):
    policy = resolve_policy("random", CARTPOLE)
    with Evaluator(CARTPOLE, episodes=2, seed=4) as evaluator:
        result = evaluator.evaluate(policy)
    video = record_video(CARTPOLE, policy, tmp_path / "a.mp4", episodes=2, seed=4, size=(64, 48))
    assert video.returns == result.returns


def test_a_video_ends_after_its_steps_in_the_wanted_size(tmp_path):
    path = tmp_path / "a.mp4"
    policy = resolve_policy("zero", CARTPOLE)
    record_video(CARTPOLE, policy, path, max_steps=5, size=(101, 80), overlay=False)
    stream, count = facts(path)
    assert "100x80" in stream
    assert count == 3  # the start and steps 2 and 4, at 25 of 50 steps per second


def test_a_fast_environment_is_shown_every_nth_step(tmp_path):
    env = COUNTDOWN.model_copy(update={"id": "test_video:Fast"})
    video = record_video(env, resolve_policy("zero", env), tmp_path / "a.mp4", episodes=1, seed=1)
    assert video.fps == 30.0


def test_without_a_display_a_window_is_an_error_that_names_the_way_out(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(ConfigError, match=r"cannot open a window: .*record a video \(--video\)"):
        next(watch(CARTPOLE, resolve_policy("zero", CARTPOLE)))


def test_nothing_is_left_behind_when_the_policy_fails(tmp_path):
    with pytest.raises(PolicyError, match="not finite"):
        record_video(COUNTDOWN, resolve_policy("evaluation_envs:not_finite"), tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_environment_without_pictures_is_an_error(tmp_path):
    env = EnvConfig(id="test_video:Blind", workers=0)
    with pytest.raises(ConfigError, match=r"'test_video:Blind' cannot render pictures: .*NoneType"):
        record_video(env, resolve_policy("zero", env), tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_what_ffmpeg_complains_about_is_said_in_one_line(tmp_path):
    # H.264 with yuv420p cannot have odd sides.
    with (
        pytest.raises(StorageError, match=r"cannot write video '.*a\.mp4': .+") as error,
        mp4_file(tmp_path / "a.mp4", 20.0) as show,
    ):
        for _ in range(3):
            show(np.zeros((41, 63, 3), np.uint8))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_pictures_keep_their_proportions():
    white = np.full((40, 40, 3), 255, np.uint8)
    picture = fitted(white, (80, 40))
    assert picture.shape == (40, 80, 3)
    assert picture[:, :20].max() == 0
    assert picture[:, 20:60].min() == 255


def test_a_caption_changes_only_the_top():
    grey = np.full((360, 480, 3), 120, np.uint8)
    picture = caption(grey, "episode 1")
    assert (picture[:40] != grey[:40]).any()
    assert np.array_equal(picture[60:], grey[60:])
    assert grey.min() == grey.max() == 120


class Fast(Countdown):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 90}  # noqa: RUF012


class Blind(Countdown):
    def render(self):
        return None
