"""The public surface, and the arrows between the rooms."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import cybertools.tracking as package
from tests.engines import give_up

PACKAGE = package.__name__
FOLDER = Path(package.__file__).parent

CONTRACT = {
    "codec",
    "criteria",
    "errors",
    "interfaces",
    "questions",
    "record",
    "tally",
    "track",
    "values",
}
OPENING = "opening"
ENGINES = {"btree", "btree_counting", "btree_moments", "btree_queries", "remote", "sql", "zodb"}
"""Each other room is a door."""

MODULES = sorted(module.name for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."))
IMPORTABLE = [name for name in MODULES if not name.endswith(".__main__")]


def room(module: str) -> str:
    """The first part of a module's name within the package; empty for the package itself."""
    return module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]


def imports_of(module: str) -> Iterator[str]:
    """The modules of the package that a module imports, also within its functions."""
    path = FOLDER.joinpath(*module.removeprefix(PACKAGE).lstrip(".").split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(PACKAGE))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            if node.module == PACKAGE:
                for alias in node.names:
                    name = f"{PACKAGE}.{alias.name}"
                    yield name if name in MODULES else PACKAGE
            elif node.module is not None and node.module.startswith(f"{PACKAGE}."):
                yield node.module


def imported(name: str) -> ModuleType:
    """The module of that name, which may need a package that is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        give_up(name, f"the package {error.name}")


def names_of(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public classes and functions that a module defines, and their public members."""
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        if value.__module__ != module.__name__:
            continue
        yield name, value
        for member, inner in vars(value).items() if inspect.isclass(value) else ():
            if not member.startswith("_") and (inspect.isfunction(inner) or is_property(inner)):
                yield f"{name}.{member}", inner


def is_property(value: Any) -> bool:
    return isinstance(value, property | classmethod | staticmethod)


# What there is


def test_the_surface_of_the_package() -> None:
    assert package.__all__ == ["Run", "Storage", "Track", "TrackingError", "open_storage"]


def test_the_surface_is_there() -> None:
    for name in package.__all__:
        assert getattr(package, name).__doc__


def test_the_surface_of_the_remote_engine() -> None:
    remote = imported(f"{PACKAGE}.remote")
    assert remote.__all__ == ["AsyncStorage", "Patience", "open_service"]
    assert all(getattr(remote, name).__doc__ for name in remote.__all__)


def test_types_are_for_everyone() -> None:
    assert (FOLDER / "py.typed").is_file()


def test_the_namespace_is_open() -> None:
    assert not (FOLDER.parent / "__init__.py").exists()


@pytest.mark.parametrize("name", IMPORTABLE)
def test_each_module_says_what_it_is_and_has(name: str) -> None:
    module = imported(name)
    assert module.__doc__
    names = getattr(module, "__all__", None)
    if names is None:
        others = (v for name, v in vars(module).items() if not name.startswith("_"))
        assert all(inspect.ismodule(value) for value in others)
    else:
        assert all(hasattr(module, each) for each in names)
        assert len({*names}) == len(names)


@pytest.mark.parametrize("name", [name for name in IMPORTABLE if room(name) != "testing"])
def test_each_public_name_says_what_it_is(name: str) -> None:
    module = imported(name)
    silent = [each for each, value in names_of(module) if not inspect.getdoc(value)]
    assert silent == []


# The arrows


def allowed(module: str) -> set[str]:
    """The rooms that a module may import from."""
    here = room(module)
    if here in CONTRACT:
        return CONTRACT
    if here == OPENING:
        return CONTRACT | ENGINES
    if here in ENGINES:
        return CONTRACT | ENGINES
    if not here:
        return CONTRACT | {OPENING}
    doors = {room(each) for each in MODULES} - ENGINES
    return doors | {""}


@pytest.mark.parametrize("module", [PACKAGE, *MODULES])
def test_arrows_point_one_way(module: str) -> None:
    imported = {room(each) for each in imports_of(module)}
    assert imported <= allowed(module)


def test_the_rooms_are_those_that_are_there() -> None:
    rooms = {room(each) for each in MODULES}
    assert CONTRACT | {OPENING} <= rooms
    assert {"btree", "sql", "zodb"} <= rooms & ENGINES
    assert any(list(imports_of(each)) for each in MODULES if room(each) in ENGINES)


def test_tests_are_no_part_of_the_library() -> None:
    for module in [PACKAGE, *MODULES]:
        if room(module) != "testing":
            assert "testing" not in {room(each) for each in imports_of(module)}
