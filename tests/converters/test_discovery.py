"""The table of sources: found by a scan, each name once."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import converters
from schemas.errors import BoxcarError, ConfigError

FOLDER = Path(converters.__file__).parent


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder beside the package's own in which more modules are found; forgotten afterwards."""
    monkeypatch.setattr(converters, "__path__", [*converters.__path__, str(tmp_path)])
    converters.sources.cache_clear()
    yield tmp_path
    converters.sources.cache_clear()
    for name in ("zz_more", "_zz_more"):
        sys.modules.pop(f"converters.{name}", None)
        converters.__dict__.pop(name, None)


def test_the_sources_of_this_house_are_found() -> None:
    names = ["coco_caption", "coco_instances", "refcoco", "refcocog", "refcocoplus"]
    assert [name for name in converters.sources() if name in names] == names
    assert list(converters.sources()) == sorted(converters.sources())


def test_every_module_with_a_table_is_found() -> None:
    found = {source.name for source in converters.sources().values()}
    for path in FOLDER.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tables = [
            one for one in tree.body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "CONVERTERS"
        ]
        assert len(tables) == (0 if path.name.startswith("_") else 1), path.name
        if tables:
            module = sys.modules[f"converters.{path.stem}"]
            assert {source.name for source in module.CONVERTERS} <= found


def test_names_are_unique_and_each_source_is_found_under_its_own() -> None:
    for name, source in converters.sources().items():
        assert source.name == name
        assert converters.find(name) is source
        tasks = [variant.task for variant in source.variants]
        forms = [form.name for form in source.forms]
        assert len(set(tasks)) == len(tasks)
        assert len(set(forms)) == len(forms)


def test_every_row_of_the_table_says_all_that_it_must() -> None:
    for source in converters.sources().values():
        assert source.licence
        assert source.citation
        assert source.homepage.startswith("https://")
        assert set(source.splits.values()) <= {"train", "eval"}
        assert {split for form in source.forms for split in form.splits} == set(source.splits if source.forms else ())
        assert set(source.counted) <= {variant.name for variant in source.variants}
        assert set(source.preferred) <= {form.name for form in source.forms}
        assert all(set(form.counts) <= set(source.splits) for form in source.forms)
        assert source.collection is None or converters.collection(source.collection).name == source.collection


MORE = """
import dataclasses
from converters.coco import CONVERTERS as theirs
CONVERTERS = (dataclasses.replace(theirs[0], name={name!r}),)
"""


def test_a_new_module_is_registered_by_being_there(fresh: Path) -> None:
    (fresh / "zz_more.py").write_text(MORE.format(name="my_captions"))
    assert converters.find("my_captions").name == "my_captions"


def test_a_name_that_stands_in_the_table_twice_is_an_error(fresh: Path) -> None:
    (fresh / "zz_more.py").write_text(MORE.format(name="refcoco"))
    with pytest.raises(
        BoxcarError, match=r"source 'refcoco' stands in the table twice, again in converters/zz_more\.py"
    ):
        converters.sources()


def test_a_module_with_an_underscore_is_no_converter(fresh: Path) -> None:
    (fresh / "_zz_more.py").write_text("raise RuntimeError('never imported')")
    assert "refcoco" in converters.sources()


@pytest.mark.parametrize(
    ("name", "offered"), [("refcoc", "refcoco"), ("refcoco+", "refcoco"), ("cococaption", "coco_caption")]
)
def test_an_unknown_source_offers_near_ones(name: str, offered: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown source '{name.replace('+', '.')}'; did you mean .*{offered}"):
        converters.find(name)


def test_an_unknown_collection_offers_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown collection 'cocoo'; did you mean coco\?"):
        converters.collection("cocoo")
