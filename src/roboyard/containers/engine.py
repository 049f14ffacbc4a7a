"""Container engines: docker, podman and buildah behind the few commands that images need."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from roboyard.errors import CloudError, ConfigError

ENGINES: Final = ("docker", "podman", "buildah")
"""In the order in which they are looked for."""
_ANSWERS: Final = {"docker": ("version", "--format", "{{.Server.Version}}")}
"""What shows that an engine works; a docker client may be there without its daemon."""


@dataclass(frozen=True)
class Engine:
    """One engine on this machine.

    Attributes:
        name: One of :data:`ENGINES`.
        say: Called with each command line before it runs.
        dry_run: Only say what would run.
    """

    name: str
    say: Callable[[str], None] = field(default=print, repr=False)
    dry_run: bool = False

    def build(
        self,
        *,
        context: Path,
        dockerfile: Path,
        target: str,
        tag: str,
        arguments: Mapping[str, str],
        options: Sequence[str] = (),
    ) -> None:
        """Build one target of a Dockerfile.

        Raises:
            CloudError: The build failed.
        """
        # The OCI format has no place for HEALTHCHECK and SHELL, which the Dockerfile uses.
        extra = [] if self.name == "docker" else ["--format", "docker", "--layers"]
        given = [f"--build-arg={key}={value}" for key, value in sorted(arguments.items())]
        place = [f"--file={dockerfile}", f"--target={target}", f"--tag={tag}"]
        self._run(["build", *extra, *place, *given, *options, str(context)])

    def push(self, tag: str, reference: str, options: Sequence[str] = ()) -> str:
        """Push an image to a registry.

        Args:
            tag: The image here.
            reference: ``registry/name:tag`` there.
            options: Further options of the engine's ``push``.

        Returns:
            ``registry/name@sha256:...``, which names these very bytes for ever.

        Raises:
            CloudError: The push failed, or the engine did not tell the digest.
        """
        name = reference.rpartition(":")[0] if ":" in reference.rpartition("/")[2] else reference
        if self.name == "docker":
            self._run(["tag", tag, reference])
            self._run(["push", *options, reference])
            told = self._output(
                ["image", "inspect", "--format", "{{json .RepoDigests}}", reference]
            )
            digests = [part.strip('[]"') for part in told.split(",")]
            return next((digest for digest in digests if digest.startswith(name + "@")), told)
        with tempfile.TemporaryDirectory() as folder:
            digest = Path(folder) / "digest"
            # A registry knows images by the digest of what it got: kept in the Docker format.
            kept = ["--format=v2s2", f"--digestfile={digest}"]
            self._run(["push", *kept, *options, tag, f"docker://{reference}"])
            return f"{name}@{'sha256:...' if self.dry_run else digest.read_text().strip()}"

    def run(self, image: str, arguments: Sequence[str], options: Sequence[str] = ()) -> int:
        """Run an image's command in the foreground.

        Returns:
            The command's exit code.

        Raises:
            ConfigError: The engine only builds.
        """
        if self.name == "buildah":
            raise ConfigError(
                "buildah builds images and does not run them. Install docker or podman, "
                "or pass --builder docker|podman."
            )
        return self._call(["run", "--rm", *options, image, *arguments])

    def _call(self, arguments: Sequence[str]) -> int:
        command = [self.name, *arguments]
        self.say(f"+ {shlex.join(command)}")
        return 0 if self.dry_run else subprocess.run(command, check=False).returncode

    def _run(self, arguments: Sequence[str]) -> None:
        code = self._call(arguments)
        if code != 0:
            raise CloudError(
                f"{self.name} {arguments[0]} ended with exit code {code}; "
                "its own message stands above."
            )

    def _output(self, arguments: Sequence[str]) -> str:
        if self.dry_run:
            return ""
        done = subprocess.run([self.name, *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()


def find_engine(
    name: str | None = None,
    *,
    needs_run: bool = False,
    say: Callable[[str], None] = print,
    dry_run: bool = False,
) -> Engine:
    """Return the engine of a name, or the first one that works on this machine.

    Args:
        name: One of :data:`ENGINES`, or None to look for one.
        needs_run: Whether it must run containers, which buildah does not.
        say: Called with each command line before it runs.
        dry_run: Only say what would run.

    Raises:
        ConfigError: There is none, or not this one.
    """
    if name is not None and name not in ENGINES:
        raise ConfigError(f"unknown builder '{name}'. Allowed: {', '.join(ENGINES)}.")
    wanted = [name] if name else [e for e in ENGINES if not (needs_run and e == "buildah")]
    for candidate in wanted:
        if shutil.which(candidate) and (dry_run or _works(candidate)):
            return Engine(candidate, say, dry_run)
    found = [e for e in ENGINES if shutil.which(e)]
    idle = [e for e in found if e in wanted]
    detail = (
        f" Found, but not answering: {', '.join(idle)} (is its daemon running?)." if idle else ""
    )
    raise ConfigError(
        f"no container engine works here; looked for {', '.join(wanted)}.{detail} "
        "Install one (Debian: apt-get install podman or buildah), or choose with --builder."
    )


def _works(name: str) -> bool:
    probe = _ANSWERS.get(name, ("--version",))
    environment = os.environ | {"DOCKER_CLI_HINTS": "false"}
    try:
        done = subprocess.run(
            [name, *probe], capture_output=True, timeout=20, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
