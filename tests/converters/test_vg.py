"""Visual Genome's regions in the files of each version."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from converters._genome import pictures
from pipelines.convert import Outcome, job, outcomes
from schemas.box import Size
from schemas.errors import ConfigError, SourceError
from schemas.prompt import Wording

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]
Json = dict[str, Any]

URL = "https://pictures.example.org/rak/{}/{}.jpg"
IMAGES: list[Json] = [
    {"width": 200, "url": URL.format("VG_100K_2", 1), "height": 100, "image_id": 1, "coco_id": None, "flickr_id": None},
    {"width": 640, "url": URL.format("VG_100K", 2), "height": 480, "image_id": 2, "coco_id": 77, "flickr_id": 5},
]


def region(number: int, picture: int, phrase: Any, x: Any, y: float, width: float, height: float) -> Json:
    return {
        "region_id": number,
        "width": width,
        "height": height,
        "image_id": picture,
        "phrase": phrase,
        "y": y,
        "x": x,
    }


def version_1_0(one: Json) -> Json:
    names = {"region_id": "id", "image_id": "image"}
    return {names.get(key, key): value for key, value in one.items()}


@pytest.fixture
def publish(put: Put) -> Callable[..., None]:
    """Writes both files: one picture's regions, all pictures."""

    def published(*regions: Any, images: Any = IMAGES, **more: Any) -> None:
        put("region_descriptions.json", [{"regions": list(regions), "id": 1, **more}])
        put("image_data.json", images)

    return published


Publish = Callable[..., None]


def told(found: list[Outcome]) -> list[tuple[str, str]]:
    """Key, and the answer or else the reason."""
    return [
        (one.key.removeprefix("vg/train/"), one.record.messages[1].content if one.record else one.reason)
        for one in found
    ]


def test_a_region_gives_both_records_and_they_are_whole(publish: Publish, run: Run) -> None:
    publish(region(42, 1, "a small dog ", 20, 10, 60, 40))
    refer, identify = run("vg", "train")
    assert msgspec.to_builtins(refer.record) == {
        "key": "vg/train/42/refer",
        "source": "vg",
        "split": "train",
        "task": "refer",
        "messages": [
            {"role": "user", "content": "[refer] point out a small dog"},
            {"role": "assistant", "content": "{<10><10><40><50>}"},
        ],
        "boxes": [[0.1, 0.1, 0.4, 0.5]],
        "draw": {"pool": "refer", "slots": [{"name": "phrase", "value": "a small dog"}], "answers": []},
        "meta": [],
    }
    assert msgspec.to_builtins(identify.record) == {
        "key": "vg/train/42/identify",
        "source": "vg",
        "split": "train",
        "task": "identify",
        "messages": [
            {"role": "user", "content": "[identify] name the thing at {<10><10><40><50>}"},
            {"role": "assistant", "content": "a small dog"},
        ],
        "boxes": [[0.1, 0.1, 0.4, 0.5]],
        "draw": {"pool": "identify", "slots": [{"name": "box", "value": "0"}], "answers": []},
        "meta": [],
    }


def test_a_picture_has_its_own_size_its_folder_and_its_name_at_coco(publish: Publish, run: Run) -> None:
    publish(region(42, 1, "a dog", 20, 10, 60, 40), region(43, 2, "a cat", 64, 48, 64, 48))
    dog, cat = run("vg", "train", tasks=["refer"])
    assert dog.image is not None
    assert cat.image is not None
    assert (dog.image.id, dog.image.aliases, dog.image.width, dog.image.height) == ("vg/1", [], 200, 100)
    assert (cat.image.id, cat.image.aliases, cat.image.width, cat.image.height) == ("vg/2", ["coco/77"], 640, 480)
    assert (dog.folder, cat.folder) == ("VG_100K_2", "VG_100K")


@pytest.mark.parametrize("outer", [{}, {"image_id": 1, "id": None}])
def test_files_of_both_versions_give_the_same_records(publish: Publish, run: Run, outer: Json) -> None:
    regions = [region(42, 1, "a dog", 20, 10, 60, 40), region(43, 2, "a cat", 64, 48, 64, 48)]
    publish(*regions, **outer)
    new = run("vg", "train")
    old_images = [{{"image_id": "id"}.get(key, key): value for key, value in one.items()} for one in IMAGES]
    publish(*map(version_1_0, regions), images=old_images, **outer)
    assert run("vg", "train") == new
    assert sum(one.record is not None for one in new) == 4


@pytest.mark.parametrize(
    ("box", "tokens", "clipped"),
    [
        ((0, 0, 200, 100), "{<0><0><100><100>}", None),
        ((150, 50, 90, 20), "{<75><50><100><70>}", "40.00"),
        ((150, 50, 20, 904), "{<75><50><85><100>}", "854.00"),
        ((-30, -20, 60, 40), "{<0><0><15><20>}", "30.00"),
        ((199, 10, 60, 40), "{<99><10><100><50>}", "59.00"),
        ((10, -39, 60, 40), "{<5><0><35><1>}", "39.00"),
    ],
)
def test_a_region_is_clipped_to_its_picture_whatever_its_overhang(
    publish: Publish, run: Run, box: tuple[int, ...], tokens: str, clipped: str | None
) -> None:
    publish(region(42, 1, "a dog", *box))
    (found,) = run("vg", "train", tasks=["refer"])
    assert found.record is not None
    assert found.record.messages[1].content == tokens
    assert [(pair.name, pair.value) for pair in found.record.meta] == ([("clipped_px", clipped)] if clipped else [])
    assert found.notes.count("box clipped") == (clipped is not None)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((10, -904, 60, 40), "region outside the picture"),
        ((200, 10, 60, 40), "region outside the picture"),
        ((-60, 10, 60, 40), "region outside the picture"),
        ((10, 100, 60, 40), "region outside the picture"),
        ((-59.5, 10, 60, 40), "region outside the picture"),
        ((10, 99.5, 60, 40), "region outside the picture"),
        ((10, 10, 0, 40), "empty box"),
        ((10, 10, 40, -1), "empty box"),
    ],
)
def test_of_what_leaves_less_than_a_pixel_there_is_no_record(
    publish: Publish, run: Run, box: tuple[int, ...], reason: str
) -> None:
    publish(region(42, 1, "a dog", *box))
    assert [one.reason for one in run("vg", "train")] == [reason, reason]


def test_phrases_are_tidied_and_what_is_said_twice_stays(publish: Publish, run: Run) -> None:
    said = ["  the bckground ", "the bckground", "a\u00a0man's\nhat", " ", "<p>a dog</p> {<1><2><3><4>}"]
    publish(*[region(number, 1, phrase, 20, 10, 60, 40) for number, phrase in enumerate(said)])
    assert told(run("vg", "train", tasks=["identify"])) == [
        ("0/identify", "the bckground"),
        ("1/identify", "the bckground"),
        ("2/identify", "a man's hat"),
        ("3/identify", "empty phrase"),
        ("4/identify", "<\\p>a dog<\\/p> {\\<1><2><3><4>}"),
    ]


@pytest.mark.parametrize(
    ("most", "kept"), [("none", [1, 2, 3]), ("16384", [1]), ("16385", [1, 2]), ("16386", [1, 2, 3])]
)
def test_regions_from_a_stated_area_up_are_left_out_by_rule(
    publish: Publish, run: Run, most: str, kept: list[int]
) -> None:
    areas = [(127, 129), (128, 128), (5, 3277)]
    publish(*[region(number, 2, "a dog", 600, 400, *area) for number, area in enumerate(areas, 1)])
    found = run("vg", "train", tasks=["refer"], options={"max_area_px": most})
    assert [number for number, one in enumerate(found, 1) if one.record] == kept
    assert {(one.reason, one.rule) for one in found if not one.record} <= {("region too large", True)}


@pytest.mark.parametrize("most", ["0", "-5", "1.5", "small"])
def test_an_area_that_is_no_whole_number_is_refused(publish: Publish, run: Run, most: str) -> None:
    publish(region(42, 1, "a dog", 20, 10, 60, 40))
    with pytest.raises(ConfigError, match=f"vg: max_area_px={most}: wanted a whole number of at least 1"):
        run("vg", "train", options={"max_area_px": most})


@pytest.mark.parametrize(
    "images", [[], [{**IMAGES[0], "width": None}], [{**IMAGES[0], "image_id": None}], [{**IMAGES[0], "image_id": 11}]]
)
def test_regions_of_a_picture_that_image_data_does_not_list_are_rejected(
    publish: Publish, tmp_path: Path, images: list[Json]
) -> None:
    publish(region(42, 1, "a dog", 20, 10, 60, 40), images=[*images, IMAGES[1]])
    found = outcomes(job("vg", str(tmp_path), "train"), Wording(), size_of=lambda image: Size(200, 100))
    assert [(one.key, one.reason) for one in found] == [
        ("vg/train/42/refer", "picture not in image_data"),
        ("vg/train/42/identify", "picture not in image_data"),
    ]


def test_an_entry_of_image_data_without_an_id_is_no_picture(put: Put) -> None:
    path = put("image_data.json", [{**IMAGES[0], "image_id": None}, IMAGES[1]])
    assert list(pictures(str(path))) == ["vg/2"]


@pytest.mark.parametrize(
    "damage",
    [
        {"phrase": None},
        {"phrase": 5},
        {"x": "20"},
        {"width": None},
        {"region_id": None},
        {"region_id": "42"},
        {"image_id": None},
        {"image_id": [1]},
    ],
)
def test_a_malformed_region_is_rejected_alone(publish: Publish, run: Run, damage: Json) -> None:
    first, last = region(41, 1, "a dog", 20, 10, 60, 40), region(43, 1, "a cat", 20, 10, 60, 40)
    publish(first, {**region(42, 1, "a hat", 20, 10, 60, 40), **damage}, last)
    assert told(run("vg", "train", tasks=["identify"])) == [
        ("41/identify", "a dog"),
        ("row0-1/identify", "malformed row"),
        ("43/identify", "a cat"),
    ]


@pytest.mark.parametrize("damaged", [{"id": 2}, {"id": 2, "regions": None}, {"id": 2, "regions": {"a": 1}}, [], None])
def test_an_entry_without_regions_is_counted_and_the_others_are_read(put: Put, run: Run, damaged: Any) -> None:
    entry = {"id": 1, "regions": [region(42, 1, "a dog", 20, 10, 60, 40)]}
    put("region_descriptions.json", [{"id": 3, "regions": []}, damaged, entry])
    put("image_data.json", IMAGES)
    found = told(run("vg", "train", tasks=["identify"]))
    assert found == [("row1-0/identify", "malformed row"), ("42/identify", "a dog")]


def test_a_phrase_with_bytes_that_are_no_utf_8_is_rejected_alone(put: Put, run: Run) -> None:
    regions = [region(1, 1, "café", 1, 1, 9, 9), region(2, 1, "tea", 1, 1, 9, 9)]
    rows = json.dumps([{"id": 1, "regions": regions}], ensure_ascii=False)
    put("region_descriptions.json", rows.encode("latin-1"))
    put("image_data.json", IMAGES)
    found = told(run("vg", "train", tasks=["identify"]))
    assert found == [("row0-0/identify", "malformed row"), ("2/identify", "tea")]


def test_a_region_said_twice_is_one_record(publish: Publish, run: Run) -> None:
    publish(region(42, 1, "a dog", 20, 10, 60, 40), region(42, 1, "a cat", 20, 10, 60, 40))
    found = told(run("vg", "train", tasks=["identify"]))
    assert found == [("42/identify", "a dog"), ("42/identify", "duplicate key")]


def test_without_image_data_the_error_names_it(put: Put, run: Run) -> None:
    put("region_descriptions.json", [{"id": 1, "regions": []}])
    with pytest.raises(SourceError, match=r"region_desc.* \+ image_data\.json; image_data\.json is missing"):
        run("vg", "train")


def test_another_file_under_that_name_is_not_read(put: Put, run: Run) -> None:
    put("region_descriptions.json", [{"image_id": 1, "objects": []}])
    put("image_data.json", IMAGES)
    with pytest.raises(SourceError, match=r"vg train: not found"):
        run("vg", "train")


@pytest.mark.parametrize("name", ["region_descriptions.json", "image_data.json"])
def test_a_file_cut_off_is_an_error_that_names_it(publish: Publish, tmp_path: Path, run: Run, name: str) -> None:
    publish(region(42, 1, "a dog", 20, 10, 60, 40))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-20])
    with pytest.raises(SourceError, match=name):
        run("vg", "train")


def test_there_is_no_split_but_train(publish: Publish, run: Run) -> None:
    publish(region(42, 1, "a dog", 20, 10, 60, 40))
    with pytest.raises(ConfigError, match="vg: unknown split 'val'; known: train"):
        run("vg", "val")
