"""The tree is the map: floors, folders, light imports, guards, links."""

import ast
import importlib
import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(find_spec("gymagine").origin).parent
TREE = Path(__file__).parent.parent
FOLDERS = ("agents", "envs", "experiments", "generative")
in_tree = pytest.mark.skipif(
    not (TREE / "agents").is_dir(), reason="runs beside the source tree, not beside a wheel"
)

# who may import whom; what is not listed is a new edge
FLOORS = {
    "": set(),
    "generative": {""},
    "envs": {"", "generative"},
    "agents": {"", "generative", "envs"},
    "experiments": {"", "generative", "envs", "agents"},
}
LIBRARIES_OF_GENERATIVE = {"torch", "numpy", "gymnasium", "jaxtyping", "scipy", "tqdm"}
HEAVY = ("torch", "stable_baselines3", "matplotlib", "tensorboard", "numba", "scipy", "pandas")


def modules():
    paths = [path for path in PACKAGE.glob("*.py")]
    for folder in FOLDERS:
        paths += (PACKAGE / folder).rglob("*.py")
    return sorted(paths)


def floor_of(parts):
    return parts[0] if parts and parts[0] in FLOORS else ""


def imported_floors(path):
    """Floors that a module's imports reach, as (floor, line)."""
    package = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module or "").split("."))
            names = [(*target, alias.name) for alias in node.names]
            yield from ((floor_of([part for part in name if part]), node.lineno) for name in names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None)
            for name in [module] if module else names:
                assert not name.startswith("gymagine"), f"{path}:{node.lineno}: import relatively"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    floor = floor_of(path.relative_to(PACKAGE).parts)
    if path == PACKAGE / "__main__.py" or path == PACKAGE / "__init__.py":
        return  # the doors see the whole house
    for target, line in imported_floors(path):
        assert target == floor or target in FLOORS[floor], (
            f"{path}:{line}: {floor or 'the root'} may not import {target or 'the root'}"
        )


@in_tree
def test_declared_packages_are_the_folders():
    declared = tomllib.loads((TREE / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {"gymagine"}
    for folder in FOLDERS:
        for path in (TREE / folder).rglob("__init__.py"):
            folders.add(".".join(("gymagine", *path.parent.relative_to(TREE).parts)))
    assert sorted(declared["packages"]) == sorted(folders)


@in_tree
def test_type_checkers_see_every_root_file():
    links = {path.name: path for path in (TREE / "typings" / "gymagine").iterdir()}
    roots = {path.name for path in TREE.glob("*.py")} | {"py.typed"}
    roots |= {folder for folder in FOLDERS if (TREE / folder).is_dir()}
    assert set(links) == roots
    for name, link in links.items():
        assert link.is_symlink()
        assert link.resolve() == (TREE / name).resolve()
        assert not os.path.isabs(os.readlink(link))


@in_tree
@pytest.mark.parametrize("folder", [f for f in FOLDERS if (TREE / f).is_dir()])
def test_bare_names_are_refused(folder):
    code = f"import sys; sys.path.insert(0, {str(TREE)!r}); import {folder}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode != 0
    assert f"import gymagine.{folder}" in result.stderr


def test_import_is_light():
    code = "import sys, gymagine; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    roots = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert not roots & set(HEAVY)


@pytest.mark.parametrize(
    "package", ["gymagine", "gymagine.envs", "gymagine.agents", "gymagine.agents.planning",
                "gymagine.agents.tabular", "gymagine.experiments", "gymagine.generative"]
)  # fmt: skip
def test_every_exported_name_exists(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert len(set(module.__all__)) == len(module.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_say_what_they_export_and_stay_small(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module starts with its docstring"
    assert len(text.splitlines()) <= 500, "split a file at 500 lines"
    names = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    if path.name not in ("__main__.py",):
        assert "__all__" in names or path.name == "__init__.py"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_type_ignores_have_a_code_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if "type: ignore" in line:
            assert "type: ignore[" in line, f"{path}:{number}: say which error"
            assert "#" in line.split("type: ignore[", 1)[1], f"{path}:{number}: say why"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.body:
            first = node.body[0]
            has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            start = first.end_lineno if has_docstring else node.lineno
            assert node.end_lineno - start <= 65, f"{path}:{node.lineno}: {node.name} is too long"


def test_an_exported_function_is_not_hidden_by_its_module():
    code = (
        "import gymagine.envs.garnet, gymagine.agents.planning.value_iteration as module;"
        "from gymagine.agents.planning import value_iteration; from gymagine.envs import garnet;"
        "assert callable(value_iteration) and callable(garnet)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
