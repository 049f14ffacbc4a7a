"""``roboyard doctor``: what this machine has, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.table import Table

from roboyard.cli.output import cell
from roboyard.resources import available_cores, memory_limit, memory_text

_CORE = (
    "torch",
    "stable-baselines3",
    "sb3-contrib",
    "gymnasium",
    "pybullet",
    "pydantic",
    "numpy",
    "tensorboard",
    "matplotlib",
    "imageio-ffmpeg",
)
_EXTRAS = {
    "aws": ("boto3",),
    "export": ("onnx", "onnxruntime"),
    "serve": ("fastapi", "uvicorn", "onnxruntime"),
}


@dataclass(frozen=True)
class HealthCheck:
    """One line of the doctor's report."""

    what: str
    is_good: bool | None
    """True fine, False broken, None optional and absent."""
    detail: str
    remedy: str = ""


def doctor() -> None:
    """Check versions, physics, rendering, video, threads and accelerator.

    Ends with exit code 1 if something that training needs is broken.
    """
    findings = [_python(), *_packages(), *_extras(), _rendering(), _video(), _threads()]
    findings += [_accelerator(), _window()]
    table = Table(box=None, pad_edge=False)
    for column in ("", "check", "found", "to mend it"):
        table.add_column(column, overflow="fold")
    marks = {True: "[green]ok[/green]", False: "[red]broken[/red]", None: "[dim]absent[/dim]"}
    for finding in findings:
        row = (finding.what, finding.detail, finding.remedy)
        table.add_row(marks[finding.is_good], *map(cell, row))
    Console().print(table)
    if any(finding.is_good is False for finding in findings):
        raise typer.Exit(1)


def _python() -> HealthCheck:
    version = platform.python_version()
    remedy = "" if version.startswith("3.11.") else "3.11 has ready-made PyBullet wheels"
    return HealthCheck("python", True, f"{version} on {platform.platform(terse=True)}", remedy)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> list[HealthCheck]:
    findings = []
    for package in _CORE:
        version = _version(package)
        remedy = "" if version else f"pip install {package}"
        findings.append(
            HealthCheck(package, version is not None, version or "not installed", remedy)
        )
    return findings


def _extras() -> list[HealthCheck]:
    findings = []
    for extra, packages in _EXTRAS.items():
        missing = [package for package in packages if _version(package) is None]
        found = ", ".join(f"{p} {_version(p)}" for p in packages if p not in missing)
        remedy = f"pip install 'roboyard[{extra}]'" if missing else ""
        detail = found or "optional, not installed"
        findings.append(HealthCheck(f"extra: {extra}", None if missing else True, detail, remedy))
    return findings


def _rendering() -> HealthCheck:
    try:
        from roboyard.envs.simple import SimpleRobotEnv

        env = SimpleRobotEnv(render_mode="rgb_array")
        env.reset(seed=0)
        frame = env.render()
        env.close()
        shape = getattr(frame, "shape", None)
        return HealthCheck("physics and rendering", True, f"PyBullet steps and draws {shape}")
    except Exception as error:  # the doctor reports whatever is wrong
        return HealthCheck("physics and rendering", False, str(error), "pip install pybullet")


def _video() -> HealthCheck:
    try:
        import imageio_ffmpeg

        return HealthCheck("video", True, f"ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}")
    except Exception as error:  # the doctor reports whatever is wrong
        return HealthCheck("video", False, str(error), "pip install imageio-ffmpeg")


def _threads() -> HealthCheck:
    cores, limit_bytes = available_cores(), memory_limit()
    limit = os.environ.get("OMP_NUM_THREADS")
    memory = "" if limit_bytes is None else f" and {memory_text(limit_bytes)} of memory"
    note = f", OMP_NUM_THREADS={limit}" if limit else ""
    return HealthCheck("processor", True, f"{cores} cores{memory} usable{note}")


def _accelerator() -> HealthCheck:
    if importlib.util.find_spec("torch") is None:
        return HealthCheck("accelerator", None, "torch is not installed", "pip install torch")
    import torch

    if torch.cuda.is_available():
        return HealthCheck("accelerator", True, torch.cuda.get_device_name(0))
    return HealthCheck("accelerator", None, "none; small networks train faster on the CPU anyway")


def _window() -> HealthCheck:
    has_display = bool(os.environ.get("DISPLAY")) or platform.system() != "Linux"
    if has_display:
        return HealthCheck("window", True, "a display is there for --window")
    return HealthCheck("window", None, "no display", "use --video, or set DISPLAY")
