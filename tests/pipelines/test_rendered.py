"""Lines written many at once are, to the last byte, those that row by row are written; so is all that is counted."""

import gc
import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from converters import sources
from converters._block import InBlocks
from pipelines.columns import boxes_in_json
from pipelines.convert import Converted, Job, Outcome, convert, job, outcomes, outcomes_and_lines
from pipelines.rendered import Lines
from schemas.box import CODECS, Size, encode, from_xywh
from schemas.dialect import box_text
from schemas.errors import BoxcarError
from schemas.prompt import Wording, templates
from schemas.text import MAX_CHARS, RESERVED

Told = tuple[bytes, Converted]

# Files are written anew for each example.
on_disk = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)

PIECES = (
    *RESERVED,
    *'<[{}]>"\\/',
    "\\n",
    "\n",
    " ",
    "  ",
    "\t",
    "\x00",
    "\x7f",
    "é",
    "\u2028",
    "\ud800",
    "🚗",
    "a",
    "dog",
)
odd = st.lists(st.sampled_from(PIECES), max_size=5).map("".join) | st.just("x" * (MAX_CHARS + 1))
texts = st.one_of(*[st.text("a dog'é\"", min_size=1, max_size=4)] * 3, odd)
ids = st.integers(0, 12) | st.integers(-(2**62), 2**62)
numbers = (
    st.integers(-3, 700).map(float)
    | st.integers(0, 70_000).map(lambda hundredths: hundredths / 100)
    | st.floats(-3, 700)
    | st.sampled_from([0.0, -0.0, 1e-9, 5e-324, 1e308, -1e308])
)
usual = st.integers(1, 15_000).map(lambda hundredths: hundredths / 100)  # as most are, so that blocks have lines
in_json = st.one_of(*[usual] * 7, numbers | st.just(10**400))
sides = st.one_of(*[st.sampled_from([640, 480, 333])] * 6, st.sampled_from([1, 0, -5, 2**53, 2**53 + 2, 10**400]))
wordings = st.builds(Wording, seed=st.integers(0, 3), codec=st.sampled_from(list(CODECS.values())))


def converted(one: Job, wording: Wording) -> Told:
    out = io.BytesIO()
    told = convert(one, out, wording)
    return out.getvalue(), told


def by_the_row(one: Job) -> Job:
    """The same job, of a form that does not come in blocks."""
    form, rows = one.found.form, one.found.form.rows
    assert isinstance(rows, InBlocks)
    return replace(one, found=replace(one.found, form=replace(form, rows=rows.__call__)))


def insist_same(one: Job, wording: Wording) -> None:
    assert converted(one, wording) == converted(by_the_row(one), wording)


def lines_of(one: Job, wording: Wording) -> int:
    return sum(found.records for found in outcomes_and_lines(one, wording) if isinstance(found, Lines))


def in_blocks(root: Path) -> list[Job]:
    """Every split of every source that a folder holds in a form that comes in blocks."""
    found = []
    for name, source in sources().items():
        for split in source.splits:
            try:
                one = job(name, str(root), split)
            except BoxcarError:
                continue
            found += [one] if isinstance(one.found.form.rows, InBlocks) else []
    return found


@pytest.mark.parametrize("by", CODECS.values(), ids=list(CODECS))
def test_the_demo_world_is_written_at_once_as_it_is_row_by_row(demo_files: Path, by: Any) -> None:
    jobs = [one for root in sorted(demo_files.iterdir()) for one in in_blocks(root)]
    names = {one.source.name for one in jobs}
    assert names >= {"coco_caption", "refcoco", "refcocog", "vg", "flickr30k_grounded", "flickr30k_caption"}
    for one in jobs:
        insist_same(one, Wording(seed=7, codec=by))


def test_nearly_all_of_it_is_indeed_written_at_once(demo_files: Path) -> None:
    for name, root in (
        ("coco_caption", "coco"),
        ("refcoco", "refer"),
        ("vg", "vg"),
        ("flickr30k_caption", "flickr30k"),
    ):
        one = job(name, str(demo_files / root), "train")
        assert lines_of(one, Wording()) > 0.6 * len(list(outcomes(one, Wording())))


def captions(root: Path, said: list[tuple[int, int, Any]], pictures: list[tuple[int, Any]]) -> Job:
    images = [{"id": id, "width": width, "height": 480} for id, width in pictures]
    annotations = [{"id": id, "image_id": image, "caption": caption} for id, image, caption in said]
    (root / "captions_train2017.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return job("coco_caption", str(root), "train")


@on_disk
@given(
    st.lists(st.tuples(ids, ids, texts | st.none()), max_size=12), st.lists(st.tuples(ids, sides), max_size=6), wordings
)
@example(
    [(1, 1, "a dog"), (2, 1, " a"), (2, 1, "b"), (1, 1, "\ud800"), (3, 1, "c"), (3, 2, "d")], [(1, 640)], Wording()
)
@example([(2, 1, "a <b"), (3, 1, None), (2, 1, "b")], [], Wording())
@example([(1, 1, "a")], [(1, 640), (1, 480)], Wording())
@example([(2, 1, "b"), (3, 1, None), (2, 1, "a <b"), (2, 1, "c")], [], Wording())
@example([(1, 1, ""), (1, 1, "a"), (2, 1, "a "), (3, 1, "b\n"), (4, 1, "\nb"), (5, 1, "b\nc")], [], Wording())
def test_any_captions(tmp_path: Path, said: Any, pictures: Any, wording: Wording) -> None:
    insist_same(captions(tmp_path, said, pictures), wording)


SLIVER = {"phrase": "a", "x": 1, "y": 1, "width": 0.5, "height": 3, "region_id": 1, "image_id": 0}
region = st.fixed_dictionaries(
    {"phrase": texts, "x": in_json, "y": in_json, "width": in_json, "height": in_json}
    | {"region_id": ids | st.none(), "image_id": st.integers(0, 3)},
    optional={"id": st.just("1") | ids},
)


@on_disk
@given(st.lists(st.lists(region, max_size=5), max_size=4), st.lists(st.tuples(sides, sides), max_size=4), wordings)
@example([[SLIVER]], [(5, 5)], Wording())
@example([[{**SLIVER, "width": 60}, {**SLIVER, "width": 60, "height": 50, "region_id": 2}]], [(640, 480)], Wording())
def test_any_regions(tmp_path: Path, described: Any, pictures: Any, wording: Wording) -> None:
    entries = [{"id": place, "regions": regions} for place, regions in enumerate([[], *described])]
    (tmp_path / "region_descriptions.json").write_text(json.dumps(entries))
    data = [
        {
            "image_id": place,
            "width": width,
            "height": height,
            "url": f"http://x/VG_100K/{place}.jpg",
            "coco_id": place or None,
        }
        for place, (width, height) in enumerate(pictures)
    ]
    (tmp_path / "image_data.json").write_text(json.dumps(data))
    for most in ("none", "3000"):
        insist_same(job("vg", str(tmp_path), "train", options={"max_area_px": most}), wording)


sentence = st.fixed_dictionaries({"sent_id": st.integers(0, 9), "sent": texts}) | st.just({"sent_id": "1"})
ref = st.fixed_dictionaries(
    {"ref_id": st.integers(0, 5), "ann_id": st.integers(0, 3), "image_id": st.integers(0, 2)}
    | {"split": st.sampled_from(["train", "train", "val", "?"]), "sentences": st.lists(sentence, max_size=18)}
)


@on_disk
@given(
    st.lists(ref | st.just({"split": "train"}), max_size=6),
    st.lists(st.tuples(in_json, in_json, in_json, in_json), max_size=4),
    st.lists(st.tuples(sides, sides), max_size=3),
    wordings,
)
def test_any_expressions(tmp_path: Path, refs: Any, boxes: Any, pictures: Any, wording: Wording) -> None:
    (tmp_path / "refcoco").mkdir(exist_ok=True)
    (tmp_path / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps(refs, 2))
    images = [{"id": place, "width": width, "height": height} for place, (width, height) in enumerate(pictures)]
    regions = [{"id": place, "image_id": place % 2, "bbox": box} for place, box in enumerate(boxes)]
    (tmp_path / "refcoco" / "instances.json").write_text(json.dumps({"images": images, "annotations": regions}))
    insist_same(job("refcoco", str(tmp_path), "train"), wording)


chains = st.lists(st.sampled_from(["1", "2", "3"]), min_size=1, max_size=2, unique=True)
corners = st.tuples(st.integers(-2, 30), st.integers(0, 30), st.integers(1, 103), st.integers(1, 103)) | st.none()
PHRASES = ("[/EN#1/people a man]", "[/EN#2/other/scene the sea]", "[/EN#3/x hé]", "[/EN#0/notvisual it]", "[/EN#4/x y]")
marked = st.sampled_from([*PHRASES, " ", " ", " and ", ".", '"', "  ", "[", "{", "<p>", "\t", "\\", "\u00a0"])
said = st.lists(st.lists(marked, max_size=6).map("".join), min_size=5, max_size=5)


def annotated(id: int, objects: list[tuple[list[str], Any]]) -> str:
    written = [
        f"<annotation><filename>{id}.jpg</filename><size><width>100</width><height>99</height><depth>3</depth></size>"
    ]
    for names, box in objects:
        sides = zip(("xmin", "ymin", "xmax", "ymax"), box or (), strict=False)
        within = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
        found = f"<bndbox>{within}</bndbox>" if box else "<scene>1</scene><nobndbox>0</nobndbox>"
        written.append(f"<object>{''.join(f'<name>{name}</name>' for name in names)}{found}</object>")
    return "".join([*written, "</annotation>"])


@on_disk
@given(st.lists(st.tuples(st.lists(st.tuples(chains, corners), max_size=4), said), max_size=3), wordings)
@example(
    [([(["1"], (1, 1, 50, 50))], ["[/EN#1/x a] b", "[/EN#1/x a][/EN#1/x b]", "b", "c é", '"[/EN#1/x a]'])], Wording()
)
@example(
    [([(["1"], (30, 1, 50, 50)), (["1"], (1, 1, 20, 20)), (["1"], (1, 1, 20, 20))], ["[/EN#1/x a]"] * 5)], Wording()
)
@example([([(["1"], (1, 1, 50, 50))], ["b [/EN#1/x a][/EN#1/x b]", "b [/EN#1/x a] c", "b", "c", "d"])], Wording())
@example(
    [([(["1"], (1, 1, 5, 5)), (["2"], (1, 1, 90, 90))], ["[/EN#1/x a]", '"[/EN#2/x a]', "b", "c", "d"])],
    Wording(),
)
@example([([], ["[/EN#1/x a]"] * 5)], Wording())
@example([([(["1"], (1, 1, 50, 50))], ["[/EN#1/x a] b [/EN#4/x c]"] * 5)], Wording())
@example([([(["1"], (0, 1, 50, 50)), (["2"], (1, 1, 50, 50))], ["[/EN#1/x a] [/EN#2/x b]"] * 5)], Wording())
def test_any_sentences(tmp_path: Path, pictures: Any, wording: Wording) -> None:
    (tmp_path / "train.txt").write_text("".join(f"{id}\n" for id in range(len(pictures) + 1)))
    (tmp_path / "UNRELATED_CAPTIONS").write_text("0 2\n")
    with zipfile.ZipFile(tmp_path / "annotations.zip", "w") as file:
        for id, (objects, sentences) in enumerate(pictures):
            file.writestr(f"Annotations/{id}.xml", annotated(id, objects))
            file.writestr(f"Sentences/{id}.txt", "".join(f"{sentence}\n" for sentence in sentences))
    for fewest in ("1", "2"):
        insist_same(job("flickr30k_grounded", str(tmp_path), "train", options={"min_phrases": fewest}), wording)
    insist_same(job("flickr30k_caption", str(tmp_path), "train"), wording)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), min_size=1, max_size=40), st.sampled_from([640, 480, 7]))
@example([(-0.0, 0.0, 5.0, 5.0), (0.0, -0.0, 5.0, 5.0), (0.0, 0.0, 6.4, 6.4), (0.0, 0.0, 1e-9, 5.0)], 640)
@example([(0.04 + place * 0.08, 0.12, 320.0, 240.0) for place in range(30)], 640)  # ties of the sixth decimal
def test_any_box_that_is_sure_is_what_the_long_way_makes_of_it(boxes: Any, side: int) -> None:
    for by in CODECS.values():
        found = boxes_in_json(np.array(boxes).T, np.full((2, len(boxes)), float(side)), 0.0, by)
        for place in [place for place, one in enumerate(found.sure.tolist()) if one]:
            box = from_xywh(boxes[place], Size(side, side))
            assert found.tokens[place] == box_text((encode(box, by),))
            assert found.json[place] == msgspec.json.encode(box).decode()
            assert found.sides[place].tolist() == list(box)


def test_a_box_with_its_edges_on_ties_is_sure() -> None:
    box, size = np.array([[0.04], [0.12], [320.0], [240.0]]), np.array([[640.0], [480.0]])
    assert boxes_in_json(box, size, 0.0, CODECS["round-100"]).sure.all()


@pytest.mark.parametrize("template", ['"<{phrase}', "[{phrase}", "\x7ftext\x7f {phrase}", "{phrase} \x7fid\x7f"])
def test_templates_of_ones_own_are_filled_as_row_by_row(tmp_path: Path, template: str) -> None:
    refs = [
        {"ref_id": n, "ann_id": 0, "image_id": 0, "split": "train", "sentences": [{"sent_id": 1, "sent": "p>"}]}
        for n in range(8)
    ]
    (tmp_path / "refcoco").mkdir()
    (tmp_path / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps(refs, 2))
    image, region = {"id": 0, "width": 9, "height": 9}, {"id": 0, "image_id": 0, "bbox": [1, 1, 5, 5]}
    (tmp_path / "refcoco" / "instances.json").write_text(json.dumps({"images": [image], "annotations": [region]}))
    for pool in ((template,), (template, "find {phrase}")):
        insist_same(job("refcoco", str(tmp_path), "train"), Wording(pools={**templates(), "refer": pool}))


def test_a_bound_and_a_limit_are_kept_row_by_row(demo_files: Path) -> None:
    one = job("coco_caption", str(demo_files / "coco"), "train", max_records=10)
    assert all(isinstance(found, Outcome) for found in outcomes_and_lines(one, Wording()))
    assert converted(one, Wording())[0].count(b"\n") == 10


def test_the_collector_rests_while_a_block_is_made_and_no_longer(demo_files: Path) -> None:
    one = job("coco_caption", str(demo_files / "coco"), "train")
    form, resting = one.found.form, list[bool]()

    def blocks(reading: Any) -> Any:
        for block in form.rows.blocks(reading):  # type: ignore[attr-defined]
            resting.append(not gc.isenabled())
            yield block

    watched = replace(one, found=replace(one.found, form=replace(form, rows=InBlocks(blocks))))
    assert all(gc.isenabled() for _ in outcomes_and_lines(watched, Wording()))
    assert resting and all(resting)
