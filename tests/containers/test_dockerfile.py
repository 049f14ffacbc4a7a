"""The Dockerfile and what stands beside it, read as a reviewer would."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker/Dockerfile").read_text()
FINAL = ("serve", "cpu", "gpu")


def stages() -> dict[str, tuple[str, str]]:
    """Return name -> (parent, body)."""
    parts = re.split(r"^FROM (\S+) AS (\S+)$", TEXT, flags=re.M)
    return {parts[i + 1]: (parts[i], parts[i + 2]) for i in range(1, len(parts) - 1, 3)}


def test_there_is_a_stage_for_every_image_that_the_command_knows() -> None:
    from roboyard.containers.image import TARGETS

    assert set(TARGETS) <= set(stages())


def test_the_base_is_pinned_by_digest_and_nothing_is_latest() -> None:
    bases = re.findall(r"^ARG \w*BASE_IMAGE=(\S+)$", TEXT, flags=re.M)
    assert bases
    assert all(re.fullmatch(r".+@sha256:[0-9a-f]{64}", base) for base in bases)
    assert ":latest" not in TEXT
    parents = {parent for parent, _ in stages().values()}
    assert parents <= {"${BASE_IMAGE}", *stages()}, "every other stage stands on one of ours"


@pytest.mark.parametrize("name", FINAL)
def test_final_images_run_as_nobody_in_particular(name: str) -> None:
    user = re.findall(r"^USER (\S+)$", stages()[name][1], flags=re.M)[-1]
    uid, _, gid = user.partition(":")
    assert int(uid) >= 10000, "above the ids of the host's people"
    assert gid == "0", "so that any other user id can write to what the group may write to"


@pytest.mark.parametrize("name", FINAL)
def test_final_images_install_nothing_and_hold_no_tools(name: str) -> None:
    parent, body = stages()[name]
    assert parent == "base"
    assert not re.search(r"\b(pip|apt-get|curl|wget|gcc)\b", body)
    assert "/opt/tools" not in body


@pytest.mark.parametrize("name", FINAL)
def test_the_first_process_hands_signals_on_and_reaps(name: str) -> None:
    body = stages()[name][1]
    assert 'ENTRYPOINT ["dumb-init", "--single-child", "--", "roboyard"]' in body
    assert "STOPSIGNAL SIGTERM" in body


def test_the_server_says_whether_it_is_healthy() -> None:
    assert "HEALTHCHECK" in stages()["serve"][1]


def test_no_secret_is_an_argument_or_a_variable() -> None:
    names = re.findall(r"^(?:ARG|ENV) (\w+)", TEXT, flags=re.M)
    assert not [n for n in names if re.search(r"TOKEN|SECRET|PASSWORD|_KEY", n, flags=re.I)]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored, "what the context holds is a list of what may be in it"
    assert not [line for line in ignored if line in ("!.git", "!runs", "!.env")]


def test_hadolint_finds_nothing() -> None:
    program = shutil.which("hadolint") or str(Path(sys.executable).parent / "hadolint")
    done = subprocess.run(
        [program, str(ROOT / "docker/Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_shell_scripts_of_the_images_are_clean() -> None:
    program = shutil.which("shellcheck") or str(Path(sys.executable).parent / "shellcheck")
    files = sorted(str(path) for path in (ROOT / "docker").rglob("*.sh"))
    done = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_limits_every_service_and_opens_ports_to_this_machine_only() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "mem_limit" in service, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_the_kubernetes_job_lets_a_run_save_itself() -> None:
    job = yaml.safe_load((ROOT / "docker/kubernetes-job.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= 60
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    rules = job["spec"]["podFailurePolicy"]["rules"]
    assert any(75 in rule.get("onExitCodes", {}).get("values", []) for rule in rules)


def test_the_server_needs_no_package_that_its_image_lacks(tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    listed = {
        line.strip().replace("-", "_")
        for line in (ROOT / "docker/serve.txt").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    }
    assert not listed & {"torch", "pybullet", "stable_baselines3", "gymnasium"}
    script.write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ABSENT:\n"
        "            raise ModuleNotFoundError(f'no {name} in the image')\n"
        "ABSENT = {'torch', 'pybullet', 'stable_baselines3', 'sb3_contrib', 'gymnasium',\n"
        "          'psutil', 'matplotlib', 'imageio', 'tensorboard', 'safetensors', 'jax',\n"
        "          'onnx', 'scipy'}\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from roboyard.cli import main\n"
        f"sys.argv = ['roboyard', 'serve', {str(tmp_path / 'none.zip')!r}]\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert "in the image" not in done.stderr
    assert "none.zip" in done.stderr
