import re
from pathlib import Path

import pytest

import converters
from manifests import load, override, parse
from schemas.errors import ConfigError
from schemas.pool import pool_config


def raw() -> dict[str, object]:
    return {"pool": "coco", "image": {"quality": 90}, "sources": [{"name": "a"}, {"name": "b", "splits": ["train"]}]}


def test_our_own_pool_is_found_by_name_and_validates() -> None:
    config = pool_config(load("coco"), "coco")
    assert config.pool == "coco"
    assert [(entry.name, entry.splits) for entry in config.sources] == [
        ("refcoco", ["train"]),
        ("refcocoplus", ["train"]),
        ("refcocog", ["train"]),
        ("coco_caption", ["train"]),
        ("coco_instances", ["train"]),
        ("vqav2", ["train"]),
        ("okvqa", ["train"]),
        ("aokvqa", ["train"]),
        ("llava_conversation", ["train"]),
        ("llava_detail", ["train"]),
        ("llava_reason", ["train"]),
    ]
    assert config.multitask and config.multitask.splits == ["train"]


def test_every_pool_of_ours_validates_under_its_name() -> None:
    shipped = sorted(Path(load.__globals__["__file__"]).parent.glob("pools/*.yaml"))
    assert len(shipped) > 5
    for path in shipped:
        config = pool_config(load(str(path)), path.name)
        assert config.pool == path.stem
        for entry in config.sources:
            source = converters.find(entry.name)
            assert set(entry.splits) <= set(source.splits) and set(entry.options) <= set(source.options)
            assert entry.form == "auto" or entry.form in {form.name for form in source.forms}
            assert source.collection is None or config.locations(source.collection)


@pytest.mark.parametrize("name", ["mine.yaml", "mine.yml"])
def test_a_manifest_is_found_by_path(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("pool: caf\u00e9\nseed: 3\n", encoding="utf-8")
    assert load(str(tmp_path / name)) == {"pool": "caf\u00e9", "seed": 3}


def test_an_unknown_name_offers_ours_and_says_how_a_file_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown manifest 'cocoo'; did you mean coco\?; a file's name ends in \.yaml"
    ):
        load("cocoo")


@pytest.mark.parametrize("name", ["absent.yaml", "folder.yaml"])
def test_a_path_that_is_no_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=rf"^no such file: .*{name}$"):
        load(str(tmp_path / name))


def test_a_file_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("pool: caf\u00e9".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"^cannot read .*latin\.yaml: "):
        load(str(tmp_path / "latin.yaml"))


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "a: b: c",
        "\tb: 1",
        "a: *nowhere",
        "a: \x00",
        "a: 1\n---\nb: 2",
        "{[1, 2]: 3}",
        "a: !!int abc",
        "a: !!bool maybe",
        "a: !!timestamp soon",
        "a: !!map [1, 2]",
        "a: !!set [1]",
        "a: 2024-02-30",
        "a: 0x_",
        "a: " + "9" * 5000,
        "a: " + "[" * 3000,
    ],
)
def test_what_is_no_yaml_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^here: not YAML: ") as raised:
        parse(text, "here")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("text", "found"), [("- a", "list"), ("just words", "str"), ("", "NoneType"), ("5", "int")])
def test_yaml_that_is_no_mapping_is_refused(text: str, found: str) -> None:
    with pytest.raises(ConfigError, match=rf"^here: found {found}, wanted a mapping$"):
        parse(text, "here")


@pytest.mark.parametrize(
    "text",
    [
        "seed: 1\nseed: 2",
        "image: {quality: 1, quality: 1}",
        "sources: [{name: a, root: b, name: c}]",
        "a: 1\n'a': 2",
    ],
)
def test_a_key_said_twice_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^here: not YAML: key '\w+' is said twice"):
        parse(text, "here")


@pytest.mark.parametrize(
    "value",
    [
        '!!python/object/apply:os.system ["touch {marker}"]',
        '!!python/object/apply:subprocess.check_call [["touch", "{marker}"]]',
        '!!python/object/new:os.system ["touch {marker}"]',
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/tuple [1, 2]",
        "!include {marker}",
    ],
)
def test_a_yaml_tag_runs_nothing(tmp_path: Path, value: str) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(ConfigError, match=r"^here: not YAML: could not determine a constructor for the tag"):
        parse(f"pool: {value.replace('{marker}', str(marker))}", "here")
    assert not marker.exists()


def test_anchors_and_merges_are_read_as_yaml_means_them() -> None:
    text = "one: &one {root: /data, splits: [train]}\ntwo: {<<: *one, splits: [val]}"
    assert parse(text, "here")["two"] == {"root": "/data", "splits": ["val"]}


def test_settings_reach_into_mappings_and_lists() -> None:
    settings = ["image.quality=75", "sources.1.splits.0=val", "sources.0.root=/mnt/x y", "seed=7"]
    assert override(raw(), settings) == {
        "pool": "coco",
        "image": {"quality": 75},
        "sources": [{"name": "a", "root": "/mnt/x y"}, {"name": "b", "splits": ["val"]}],
        "seed": 7,
    }


def test_a_setting_opens_the_mapping_it_needs() -> None:
    assert override({}, ["image.max_side=640", "collections.coco=/data"]) == {
        "image": {"max_side": 640},
        "collections": {"coco": "/data"},
    }


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("x=null", None),
        ("x=", None),
        ("x=[1, two]", [1, "two"]),
        ("x={a: 1}", {"a": 1}),
        ("x='5'", "5"),
        ("x=0.5", 0.5),
        ("x=true", True),
        ("x=a=b", "a=b"),
        ("x=s3://bucket/key", "s3://bucket/key"),
    ],
)
def test_the_value_of_a_setting_is_read_as_yaml(setting: str, value: object) -> None:
    assert override({}, [setting]) == {"x": value}


def test_of_two_settings_the_later_one_holds() -> None:
    assert override({}, ["seed=1", "seed=2"]) == {"seed": 2}


@pytest.mark.parametrize("setting", ["seed", "=5", "", "image.quality:75"])
def test_a_setting_without_key_and_value_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--set {setting}: wanted key=value, such as "):
        override(raw(), [setting])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sources.2.name=c", r"there is no '2' in a list of 2$"),
        ("sources.2=c", r"there is no '2' in a list of 2$"),
        ("sources.-1.name=c", r"there is no '-1' in a list of 2$"),
        ("sources.first.name=c", r"there is no 'first' in a list of 2$"),
        ("sources.name=c", r"there is no 'name' in a list of 2$"),
        ("sources.99999999999.name=c", r"there is no '99999999999' in a list of 2$"),
        ("sources." + "9" * 5000 + ".name=c", r"there is no '9+' in a list of 2$"),
        ("pool.name=c", r"there is no 'name' in str$"),
        ("pool.name.first=c", r"there is no 'name' in str$"),
        ("seed=!!python/name:os.system", r"not YAML: "),
        ("seed=[1", r"not YAML: "),
    ],
)
def test_a_setting_with_no_place_or_no_value_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--set {re.escape(setting)}: {message}"):
        override(raw(), [setting])


def test_a_mapping_of_very_many_keys_is_read_in_no_time_that_matters() -> None:
    text = "".join(f"key{number}: 1\n" for number in range(20_000))
    assert len(parse(text, "many.yaml")) == 20_000
