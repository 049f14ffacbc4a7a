"""The architecture as tests: import direction, third-party walls, cycles, size budgets."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "roboyard"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = {
    "text": 0, "json_text": 0, "errors": 0, "registry": 0, "optional": 0, "seeds": 0, "_moved": 0,
    "resources": 0,
    "config": 1,
    "sim": 2, "robots": 2, "storage": 2, "tracking": 2,
    "envs": 3, "agents": 3, "policies": 3,
    "runs": 4, "training": 4, "evaluation": 4,
    "tuning": 5, "containers": 5, "cloud": 5, "serving": 5, "bridges": 5, "dashboard": 5,
    "api": 5, "bench": 5,
    "cli": 6, "testing": 6,
    "__main__": 7,
}  # fmt: skip
ALLOWED_WITHIN_LAYER = {
    ("robots", "sim"),
    ("policies", "agents"),
    ("training", "evaluation"),
    ("training", "runs"),
    ("evaluation", "runs"),
    ("tracking", "storage"),
    ("errors", "text"),
    ("registry", "errors"),
    ("optional", "errors"),
    ("resources", "errors"),
    ("cli", "testing"),
}
WALLS = {
    "pybullet": ("sim/pybullet/",),
    "pybullet_data": ("sim/pybullet/",),
    "mujoco": ("sim/mujoco/", "robots/readers/"),
    "jax": ("agents/jax/",),
    "jaxlib": ("agents/jax/",),
    "onnx": ("policies/",),
    "onnxruntime": ("policies/",),
    "websockets": ("serving/", "dashboard/"),
    "stable_baselines3": ("agents/", "policies/", "training/", "evaluation/", "envs/vector"),
    "sb3_contrib": ("agents/", "policies/", "training/", "evaluation/"),
    "boto3": ("storage/s3", "cloud/"),
    "botocore": ("storage/s3", "cloud/"),
    "ray": ("tuning/", "cloud/"),
    "optuna": ("tuning/",),
    "fastapi": ("serving/", "dashboard/"),
    "uvicorn": ("serving/", "dashboard/"),
    "starlette": ("serving/", "dashboard/"),
    "torch": (
        "agents/",
        "policies/",
        "training/",
        "evaluation/",
        "tracking/",
        "cli/doctor",
        "runs/provenance",
    ),  # fmt: skip
    "typer": ("cli/",),
}
ENGINES = ("mujoco", "pybullet")
KNOWN_DOUBLE_NAMES = {
    "Choice": 3,
    "Channel": 2, "Constant": 2, "DamagedError": 2, "Entry": 2,
    "Learner": 2, "Manifest": 2, "Outcome": 2, "Part": 2, "Schedule": 2, "Session": 3, "Step": 2,
    "Subject": 2,
}  # fmt: skip
"""Names that still mean several classes, and how many; the list only shrinks."""
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_CONSTRUCTOR_PARAMETERS = 7
MAX_MEDIAN_FILE_LINES = 120
MAX_MEDIAN_FUNCTION_LINES = 10


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def module_of(path: Path) -> str:
    parts = ["roboyard", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(node: ast.AST) -> Iterator[str]:
    """Yield every module imported at run time, deferred imports included."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from imports(child)


def top_level_imports(path: Path) -> Iterator[str]:
    """Yield modules imported when the file is imported."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.If | ast.Try) and not is_type_checking(node)
        ):
            yield from imports(ast.Module(body=[node], type_ignores=[]))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def area_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_go_down_only(path: Path) -> None:
    area = area_of(module_of(path))
    if not area:
        return  # roboyard/__init__.py only re-exports lazily
    for name in imports(ast.parse(path.read_text())):
        target = area_of(name) if name.startswith("roboyard.") else ""
        if not target or target == area or target == "__version__":
            continue
        assert target in LAYERS, f"{target} has no layer"
        down = LAYERS[target] < LAYERS[area]
        assert down or (area, target) in ALLOWED_WITHIN_LAYER, f"{relative(path)} imports {name}"


def required(node: ast.AST) -> Iterator[str]:
    """Yield every module that is named in a call of ``optional.require``."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("require"):
            first = call.args[0] if call.args else None
            if isinstance(first, ast.Constant) and str(first.value) in ENGINES:
                yield str(first.value)


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_third_party_packages_stay_behind_their_walls(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for name in (*imports(tree), *required(tree)):
        wall = WALLS.get(name.split(".")[0])
        if wall is not None and not relative(path).startswith("testing/"):
            assert relative(path).startswith(wall), f"{relative(path)} imports {name}"


def import_graph(late: bool) -> dict[str, set[str]]:
    """Return for each module what it imports; ``late`` counts imports inside functions too."""
    modules = {module_of(path): path for path in FILES}
    return {
        module: {
            target
            for name in (imports(ast.parse(path.read_text())) if late else top_level_imports(path))
            for target in (name, name.rpartition(".")[0])
            if target in modules and target != module
        }
        for module, path in modules.items()
    }


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph[waiting.pop()] - found:
            found.add(target)
            waiting.append(target)
    return found


def test_late_imports_close_no_cycles_but_the_known_ones() -> None:
    graph = import_graph(late=True)
    reach = {module: reachable(graph, module) for module in graph}
    pairs = {
        (one, other)
        for one, targets in graph.items()
        for other in targets
        if one in reach[other] and not is_package_of(one, other)
    }
    assert not {tuple(sorted(pair)) for pair in pairs}


def is_package_of(one: str, other: str) -> bool:
    """Return whether one of two modules is a package that the other is in."""
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")


def test_no_public_class_name_means_two_things() -> None:
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(relative(path))
    twice = {name: len(found) for name, found in places.items() if len(found) > 1}
    grown = {n: places[n] for n, count in twice.items() if count > KNOWN_DOUBLE_NAMES.get(n, 1)}
    assert not grown
    gone = {name for name, count in KNOWN_DOUBLE_NAMES.items() if twice.get(name, 1) < count}
    assert not gone, "take these off KNOWN_DOUBLE_NAMES, or lower their count"


def test_there_are_no_import_cycles() -> None:
    graph = import_graph(late=False)
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"cycle: {' -> '.join([*trail, module])}"
        if module not in done:
            for target in graph[module]:
                visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES
    for function in functions(path):
        assert length(function) <= MAX_FUNCTION_LINES, (
            f"{function.name} is {length(function)} lines"
        )
        if function.name == "__init__":
            arguments = function.args
            count = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs) - 1
            assert count <= MAX_CONSTRUCTOR_PARAMETERS, f"{path.name}:{function.lineno}: {count}"


def test_the_median_file_and_function_are_short() -> None:
    file_lines = [len(path.read_text().splitlines()) for path in FILES]
    function_lines = [length(function) for path in FILES for function in functions(path)]
    assert statistics.median(file_lines) <= MAX_MEDIAN_FILE_LINES
    assert statistics.median(function_lines) <= MAX_MEDIAN_FUNCTION_LINES
