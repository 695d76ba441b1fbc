"""The house: which room may import which, what an import may load, and how long a file may grow."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent
ROOMS = ("schemas", "converters", "manifests", "pipelines")
HEAVY = ("torch", "ray", "pandas")
MAY_IMPORT = {
    "schemas": {"schemas"},
    "converters": {"schemas", "converters"},
    "manifests": {"schemas", "manifests"},
    "pipelines": set(ROOMS),
}
MODEL = {f"pipelines/model/{name}.py" for name in ("build", "generate", "minigpt", "sequences", "start", "weights")}
TRAINING = {
    f"pipelines/training/{name}.py"
    for name in ("keep", "loop", "muon", "optimise", "place", "feeding", "measured", "ready")
}
EVALUATION = {"pipelines/evaluation/asking.py"}
TORCH = {
    "pipelines/load.py",
    "pipelines/train.py",
    *MODEL,
    *TRAINING,
    *EVALUATION,
}  # who may import it: everything else runs where it is not installed
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "misc", "tools"}


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((HOUSE / folder).rglob("*.py"))]


def module(path: Path) -> str:
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """The top-level name of everything that a file imports, inside functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield (node.module or "").partition(".")[0]


def loaded(code: str) -> set[str]:
    """Which of the heavy libraries a fresh Python holds after running the code in the project's folder."""
    tell = f"import json, sys; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], cwd=HOUSE, capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    assert files(room)
    for path in files(room):
        above = set(imports(path)) & {*ROOMS, "tests", "bench"} - MAY_IMPORT[room]
        assert not above, f"{path.relative_to(HOUSE)} imports {above}"


def test_schemas_need_nothing_but_msgspec_pydantic_and_yaml() -> None:
    for path in files("schemas"):
        foreign = set(imports(path)) - sys.stdlib_module_names - {"schemas", "msgspec", "pydantic", "yaml"}
        assert not foreign, f"{path.relative_to(HOUSE)} imports {foreign}"


def test_importing_every_module_but_the_verbs_loads_nothing_heavy() -> None:
    modules = [module(path) for path in files("schemas", "converters", "manifests")]
    assert {"schemas.box", "converters.refcoco", "manifests"} <= set(modules)
    calls = "import converters; converters.sources()"
    assert loaded(f"{calls}\n" + "\n".join(f"import {name}" for name in modules)) == set()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["convert"],
        ["sources"],
        ["shard"],
        ["verify"],
        ["mix"],
        ["fetch"],
        ["rot"],
        ["train"],
        ["evaluate"],
        ["demo"],
        ["export"],
        ["report"],
        ["view"],
    ],
)
def test_asking_for_help_loads_nothing_heavy(words: list[str]) -> None:
    run = f"sys.argv = {['boxcar', *words, '--help']}; runpy.run_module('pipelines.cli', run_name='__main__')"
    help_ = f"import runpy, sys\ntry:\n    {run}\nexcept SystemExit as left:\n    assert not left.code, left.code"
    assert loaded(help_) == set()


def test_torch_is_imported_where_it_may_be_and_nowhere_else() -> None:
    assert {str(path.relative_to(HOUSE)) for path in files(*ROOMS) if "torch" in set(imports(path))} == TORCH


def test_what_needs_torch_is_imported_only_beside_it() -> None:
    needing = {"transformers", "peft", "safetensors"}
    assert {str(path.relative_to(HOUSE)) for path in files(*ROOMS) if needing & set(imports(path))} <= TORCH


def test_records_are_written_as_token_ids_without_torch() -> None:
    assert loaded("import pipelines.dialogue, pipelines.tokenizer, pipelines.model.sizes") == set()


def test_something_heavy_would_be_noticed() -> None:
    assert loaded("import sys, types; sys.modules['torch'] = types.ModuleType('torch')") == {"torch"}


def test_no_file_is_longer_than_three_hundred_lines() -> None:
    long = {
        str(path.relative_to(HOUSE)): lines
        for path in files(*ROOMS, "tests", "bench")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert long == {}


def test_every_converter_is_short_enough_to_be_read_as_its_datasets_readme() -> None:
    long = {
        path.name: lines
        for path in files("converters")
        if not path.name.startswith("_") and (lines := len(path.read_text(encoding="utf-8").splitlines())) >= 150
    }
    assert long == {}


def test_no_function_is_longer_than_sixty_lines() -> None:
    long = {
        f"{path.relative_to(HOUSE)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in files(*ROOMS, "tests", "bench")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
        if node.end_lineno - node.lineno + 1 > 60
    }
    assert long == {}


def test_no_room_or_module_has_a_name_that_says_nothing() -> None:
    vague = {path for path in files(*ROOMS) if VAGUE & {part.strip("_") for part in module(path).split(".")}}
    assert vague == set()


def test_sources_are_found_without_what_only_tables_are_read_with() -> None:
    found = "import sys, converters, pipelines.convert; converters.sources(); sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", found], check=False).returncode == 0
