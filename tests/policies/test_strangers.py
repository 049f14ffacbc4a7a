"""Bundles and run directories of strangers: nothing that they name is looked up without trust."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from roboyard.config.load import load, to_yaml
from roboyard.config.trust import UntrustedError
from roboyard.errors import ConfigError, PolicyError
from roboyard.evaluation.policies import resolve_policy, resolve_subject
from roboyard.policies import PolicyBundle, load_policy
from roboyard.policies.bundle.assets import collect
from roboyard.policies.bundle.manifest import add_to_bundle
from roboyard.runs.resume import config_of
from roboyard.storage.seal import is_sealed, sealed

ROBOT = Path(__file__).parents[2] / "examples" / "your-own-robot"
TASK = {
    "robot": "cartpole",
    "observations": {"joints": {"term": "joint_positions"}},
    "rewards": {"alive": {"weight": 1.0}},
}


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """Name a module that leaves a file behind when it is imported."""
    (tmp_path / "hostile_module.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef attr(*a, **k): return 0.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("hostile_module", None)
    yield "hostile_module:attr"
    assert not (tmp_path / "ran").exists(), "a stranger's code ran"


def change(path, edit):
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("bundle.json"))["config"]
    config["env"].update(id="roboyard/SimpleRobot-v0")
    edit(config)
    add_to_bundle(path, path, config=config)


def with_task(**parts):
    def edit(config):
        config["env"].update(id="roboyard/Task-v0", task={**TASK, **parts}, kwargs={})

    return edit


@pytest.mark.parametrize(
    "place",
    ["observations", "rewards", "terminations", "events", "commands", "metrics"],
)
def test_a_term_that_names_code_is_refused_by_its_field(bundle_path, hostile, place):
    change(bundle_path, with_task(**{place: {"evil": {"term": hostile, "params": {}}}}))
    with pytest.raises(PolicyError, match=rf"env\.task\.{place}\.evil\.term: '{hostile}'"):
        resolve_subject(bundle_path)


@pytest.mark.parametrize("env_id", ["{}", "hostile_module:Name-v0", "hostile_module:a/Name-v0"])
def test_every_form_of_an_id_that_imports_is_refused(bundle_path, hostile, env_id):
    change(bundle_path, lambda config: config["env"].update(id=env_id.format(hostile)))
    with pytest.raises(PolicyError, match=r"env\.id: 'hostile_module:"):
        resolve_subject(bundle_path)


@pytest.mark.parametrize(
    "file",
    ["package:hostile_module/robot.urdf", "/etc/hostname", "~/robot.urdf", "pybullet_data:../x"],
)
def test_a_robots_file_outside_the_bundle_is_refused(bundle_path, hostile, file):
    robot = {"file": file, "actuators": [{"joints": ["*"]}]}
    change(bundle_path, with_task(robot=robot))
    with pytest.raises(PolicyError, match=r"env\.task\.robot\.file"):
        resolve_subject(bundle_path)


def test_a_spec_file_of_this_machine_is_not_read(bundle_path, tmp_path):
    change(bundle_path, with_task(robot=str(tmp_path / "spec.yaml")))
    with pytest.raises(PolicyError, match=r"env\.task\.robot: .*which is not opened"):
        resolve_subject(bundle_path)


def test_this_machines_environment_is_not_read_for_a_stranger(bundle_path):
    change(bundle_path, lambda config: config["env"].update(kwargs={"a": "${env:HOME}"}))
    with pytest.raises(PolicyError, match=r"env\.kwargs\.a.*not read from this machine's"):
        resolve_subject(bundle_path)


def test_the_guard_reads_what_the_loader_uses(bundle_path, hostile):
    change(bundle_path, lambda config: config["agent"].update(algorithm=hostile))
    with pytest.raises(PolicyError, match="its algorithm is 'PPO', but its config says"):
        load_policy(bundle_path)
    add_to_bundle(bundle_path, bundle_path, algorithm=hostile)
    with pytest.raises(UntrustedError, match=r"agent\.algorithm"):
        load_policy(bundle_path)


def run_of(folder, bundle_path, text=None):
    """Make a run directory around a bundle."""
    (folder / "policy").mkdir(parents=True)
    (folder / "policy" / "best.zip").write_bytes(bundle_path.read_bytes())
    with zipfile.ZipFile(bundle_path) as archive:
        config = load(json.loads(archive.read("bundle.json"))["config"])
    (folder / "config.yaml").write_text(text or to_yaml(config))
    return folder


def test_a_strangers_run_directory_is_trusted_no_more_than_a_bundle(bundle_path, hostile, tmp_path):
    change(bundle_path, lambda config: config["agent"]["network"].update(activation=hostile))
    run = run_of(tmp_path / "run", bundle_path)
    for read in (load_policy, resolve_policy, resolve_subject, lambda run: config_of(str(run))):
        with pytest.raises(UntrustedError, match=r"agent\.network\.activation.*--trust-code"):
            read(run)


def test_a_run_of_ones_own_may_name_code_until_somebody_edits_it(bundle_path, tmp_path):
    change(bundle_path, lambda config: config["env"].update(kwargs={"a": "this:Zen"}))
    run = run_of(tmp_path / "run", bundle_path)
    file = run / "config.yaml"
    file.write_text(sealed(file.read_text()))
    assert resolve_subject(run).env.kwargs == {"a": "this:Zen"}
    assert config_of(str(run)).env.kwargs == {"a": "this:Zen"}
    with pytest.raises(UntrustedError):  # a copy of the bundle proves nothing
        resolve_subject(run / "policy" / "best.zip")
    change(run / "policy" / "best.zip", lambda c: c["env"].update(kwargs={"a": "os:system"}))
    with pytest.raises(UntrustedError, match="os:system"):
        resolve_subject(run)
    file.write_text(file.read_text().replace("this:Zen", "os:system"))
    with pytest.raises(UntrustedError, match="os:system"):
        config_of(str(run))


def test_another_user_or_machine_has_another_seal(tmp_path, monkeypatch):
    text = sealed("name: a\n")
    assert is_sealed(text) and not is_sealed("name: a\n") and not is_sealed(text.replace("a", "b"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert not is_sealed(text)
    (key,) = (tmp_path / "elsewhere").rglob("seal.key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert is_sealed(sealed(text))


def test_a_key_that_others_can_read_seals_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "roboyard").mkdir()
    (tmp_path / "roboyard" / "seal.key").write_bytes(b"k" * 32)
    os.chmod(tmp_path / "roboyard" / "seal.key", 0o644)
    assert sealed("name: a\n") == "name: a\n"


def test_a_runs_config_has_no_other_file_read(bundle_path, tmp_path):
    (tmp_path / "other.yaml").write_text("secret_line: 1\n")
    run = run_of(tmp_path / "run", bundle_path, sealed("extends: ../other.yaml\nname: a\n"))
    with pytest.raises(ConfigError, match="extends: the config of a run names another file") as e:
        config_of(str(run))
    assert "secret_line" not in str(e.value)


def test_a_doubled_name_in_the_manifest_is_refused(bundle_path):
    with zipfile.ZipFile(bundle_path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    doubled = parts["bundle.json"].replace(b"{", b'{"algorithm": "PPO",', 1)
    with zipfile.ZipFile(bundle_path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (parts | {"bundle.json": doubled}).items():
            archive.writestr(name, content)
    with pytest.raises(PolicyError, match="the name 'algorithm' is given twice"):
        PolicyBundle.read(bundle_path)


def test_a_pipe_is_no_policy(tmp_path):
    (tmp_path / "run" / "policy").mkdir(parents=True)
    os.mkfifo(tmp_path / "run" / "policy" / "best.zip")
    with pytest.raises(PolicyError, match="no regular file"):
        PolicyBundle.read(tmp_path / "run" / "policy" / "best.zip")


@pytest.mark.parametrize(
    ("element", "target"),
    [
        ('<plugin filename="{}"/>', "secret.so"),
        ('<gazebo><plugin filename="{}" name="p"/></gazebo>', "secret.so"),
        ('<gazebo file="{}"/>', "secret.obj"),
        ('<link name="m"><visual><geometry><mesh filename="{}"/></geometry></visual></link>', "id"),
        (
            '<link name="m"><visual><geometry><mesh filename="{}"/></geometry></visual></link>',
            "link.obj",
        ),
    ],
)
def test_only_meshes_and_pictures_beside_a_robot_travel(tmp_path, element, target):
    shutil.copytree(ROBOT, tmp_path / "robot")
    (tmp_path / "secret.so").write_text("secret")
    for name in ("id", "secret.so", "secret.obj"):
        (tmp_path / "robot" / name).write_text("secret")
    (tmp_path / "robot" / "link.obj").symlink_to(tmp_path / "robot" / "id")
    urdf = tmp_path / "robot" / "balancer.urdf"
    urdf.write_text(urdf.read_text().replace("</robot>", element.format(target) + "</robot>"))
    found = collect(load(tmp_path / "robot" / "train.yaml"))
    assert [Path(name).name for name in found.contents] == ["balancer.urdf"]
