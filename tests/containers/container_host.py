"""A machine for containers inside this one: images, containers and settings in one folder."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = "python3,python3-venv,ca-certificates"
BASE = "localhost/roboyard-test-base:bookworm"


class ContainerHost:
    """buildah and podman with a storage of their own, asked through ``roboyard image``.

    Neither systemd nor a bridge is needed: health checks run when they are asked for, and
    containers use the network of this machine.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        storage = folder / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/images"\n'
            f'runroot = "{folder}/run"\n'
        )
        # Debian's crun wants the unified hierarchy of control groups; runc takes both.
        settings = folder / "containers.conf"
        settings.write_text(
            '[containers]\nnetns = "host"\n'
            'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
        )
        self.environment = os.environ | {
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(settings),
            "BUILDAH_ISOLATION": "chroot",
            "PYTHONPATH": str(ROOT / "src"),
        }

    def podman(self, *arguments: str, check: bool = True) -> str:
        done = self._run(["podman", *arguments])
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def has(self, image: str) -> bool:
        return bool(self.podman("images", "--quiet", image))

    def make_base(self) -> None:
        """Make the image of Debian that the others stand on, once."""
        if self.has(BASE):
            return
        tree = self.folder / "base.tar"
        subprocess.run(
            ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(tree)],
            check=True,
        )
        self.podman("import", str(tree), BASE)
        tree.unlink()

    def build(self, target: str, *options: str, tag: str | None = None) -> str:
        """Build an image, unless ``IMAGE_REUSE`` is set and it is there.

        ``IMAGE_OPTIONS`` says how pip reaches its index on this machine.
        """
        if tag is None and os.environ.get("IMAGE_REUSE") and self.has(f"roboyard:{target}"):
            return f"roboyard:{target}"
        self.make_base()
        given = [
            f"--build-arg=BASE_IMAGE={BASE}",
            *shlex.split(os.environ.get("IMAGE_OPTIONS", "")),
        ]
        name = tag or f"roboyard:{target}"
        done = self.roboyard(
            "image", "build", "--builder=buildah", f"--target={target}", f"--tag={name}",
            f"--context={ROOT}", "--", *given, *options,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return name

    def roboyard(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "roboyard", *arguments])

    def run(
        self, image: str, *arguments: str, volume: Path, options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a Roboyard command in a container, as nobody in particular and with nothing spare."""
        return self._run(self.command(image, *arguments, volume=volume, options=options))

    def command(
        self, image: str, *arguments: str, volume: Path, options: tuple[str, ...] = ()
    ) -> list[str]:
        """Return that command, with a root that is read-only, a foreign user and no capability."""
        place = "/policies" if image.endswith("serve") else "/data"
        return [
            "podman", "run", "--rm", "--no-healthcheck", "--read-only", "--read-only-tmpfs=false",
            "--tmpfs=/tmp", "--user=23456:0", "--cap-drop=all", "--shm-size=64m",
            "--security-opt=no-new-privileges", f"--volume={volume}:{place}", *options,
            image, *arguments,
        ]  # fmt: skip

    def inspect(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.podman("image", "inspect", image))[0]
        return found

    def layers(self, image: str) -> list[tuple[int, str]]:
        """Return size [bytes] and origin of each layer that takes space, the base first."""
        rows = json.loads(self.podman("history", "--format=json", "--no-trunc", image))
        return [(row["size"], row["CreatedBy"]) for row in reversed(rows) if row["size"]]

    def files(self, image: str, place: str = "/opt") -> dict[str, str]:
        """Return the digest, or the target of a link, of each file and its mode."""
        script = (
            "import hashlib, os, sys\n"
            "for folder, _, names in os.walk(sys.argv[1]):\n"
            "    for name in names:\n"
            "        path = os.path.join(folder, name)\n"
            "        link = os.path.islink(path)\n"
            "        data = os.readlink(path).encode() if link else open(path, 'rb').read()\n"
            "        mode = oct(os.lstat(path).st_mode)\n"
            "        print(path, mode, hashlib.sha256(data).hexdigest(), sep='\\t')\n"
        )
        shown = self.podman(
            "run", "--rm", "--no-healthcheck", "--entrypoint=python3", image, "-c", script, place
        )
        return dict(line.split("\t", 1) for line in shown.splitlines())

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=self.environment
        )


def writable(folder: Path) -> Path:
    """Return a folder that group 0 may write to, as a volume of a cluster is."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, 0, 0)
    folder.chmod(0o2775)
    return folder
