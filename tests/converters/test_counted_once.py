"""Files with rows broken at random have as many candidates as whole ones, each in its own split, none of them twice."""

import io
import json
import random
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.convert import Outcome

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]

JUNK: list[Any] = [None, True, 1.5, "", "\x00", [], {}, [None], {"a": 1}, "caf\u00e9"]  # no UTF-8 as it is written here
NO_TEXT: list[Any] = [None, True, 7, [], {}, "caf\u00e9"]
SEEDS = range(12)


def written(content: Any) -> bytes:
    """JSON in latin-1, so that a text of other than ASCII is no UTF-8."""
    return json.dumps(content, ensure_ascii=False).encode("latin-1")


def broken(row: dict[str, Any], dice: random.Random, *kept: str) -> Any:
    """The row with one of its values gone or another, but for those that are kept."""
    key = dice.choice([key for key in row if key not in kept])
    rest = {name: value for name, value in row.items() if name != key}
    return rest if dice.random() < 0.3 else {**rest, key: dice.choice(NO_TEXT)}


def lengths(run: Run, source: str, splits: tuple[str, ...], **words: Any) -> Counter[str]:
    """How many candidates each split has."""
    return Counter({split: len(run(source, split, **words)) for split in splits})


def sentences(dice: random.Random, picture: int) -> list[Any]:
    """One to six of them, one in four broken, or anything instead."""
    whole = [{"raw": f"A dog {picture}.", "sentid": 10 * picture + n} for n in range(dice.randint(1, 6))]
    return [
        one if dice.random() < 0.75 else dice.choice(JUNK) if dice.random() < 0.5 else broken(one, dice)
        for one in whole
    ]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("source", "name", "splits"),
    [
        ("coco_caption", "dataset_coco.json", ("train", "restval", "val", "test")),
        ("flickr30k_caption", "dataset_flickr30k.json", ("train", "val", "test")),
    ],
)
def test_karpathys_sentences(put: Put, run: Run, source: str, name: str, splits: tuple[str, ...], seed: int) -> None:
    dice, wanted = random.Random(seed), Counter[str]()
    images: list[Any] = [{"filename": "1.jpg", "cocoid": 1, "split": "train", "sentences": sentences(dice, 1)}]
    wanted["train"] += len(images[0]["sentences"])
    for number in range(2, 60):
        listed, split = sentences(dice, number), dice.choice(splits)
        one: dict[str, Any] = {"filename": f"{number}.jpg", "cocoid": number, "split": split, "sentences": listed}
        count, meant = len(listed), [split]
        match dice.randrange(8):
            case 0:
                one["filename"] = one["cocoid"] = dice.choice(NO_TEXT)
            case 1:
                one["split"], meant = dice.choice([*JUNK, "trian", "Train"]), list(splits)
            case 2:
                one["sentences"], count = dice.choice([None, True, 1.5, "", {}, {"a": []}]), 1
            case 3:
                one, count, meant = dice.choice([None, 7, "x", []]), 1, list(splits)
        images.append(one)
        wanted.update(dict.fromkeys(meant, count))
    put(name, written({"images": images}))
    assert lengths(run, source, splits) == wanted
    assert sum(one.record is not None for split in splits for one in run(source, split)) > 30


def test_what_is_wrong_with_a_picture_is_told_of_each_of_its_sentences(put: Put, run: Run) -> None:
    said = {"raw": "A dog.", "sentid": 1}
    pictures: list[Any] = [
        {"cocoid": 1, "split": "val", "sentences": [said]},
        {"cocoid": 1, "split": "trian", "sentences": [said, said]},
        {"cocoid": "x", "split": "train", "sentences": []},
        {"cocoid": "x", "split": "train", "sentences": 7},
        {"cocoid": 1, "split": "train", "sentences": 7},
        {"cocoid": 1, "split": "train", "sentences": []},
        {"cocoid": 1, "split": "train", "sentences": [{"raw": 7, "sentid": 1}]},
    ]
    put("dataset_coco.json", {"images": pictures})
    assert [(one.key.split("/")[2], one.detail.partition(": ")[2]) for one in run("coco_caption", "train")] == [
        *[(f"row1-{number}", "no such split: 'trian', wanted train, restval, val, test") for number in range(2)],
        ("row2-0", "Expected `int`, got `str` - at `$.cocoid`"),
        ("row3-0", "Expected `int`, got `str` - at `$.cocoid`"),
        ("row4-0", "sentences: not the JSON it should be: Expected `array`, got `int`"),
        ("row6-0", "Expected `str`, got `int` - at `$.raw`"),
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_laviss_sentences_one_by_one(put: Put, run: Run, seed: int) -> None:
    dice, wanted = random.Random(seed), Counter[str]()
    listed: list[Any] = []
    for number in range(1, 100):
        split = dice.choice(("train", "restval"))
        folder = "train2014" if split == "train" else "val2014"
        one: Any = {"image": f"{folder}/COCO_{folder}_{number:012}.jpg", "caption": "A dog."}
        meant = [split]
        match dice.randrange(8) if listed else 7:
            case 0:
                one["caption"] = dice.choice([None, True, 1.5, {}, "caf\u00e9", "\n"])
            case 1:
                one["image"], meant = dice.choice([None, True, 7, [], "caf\u00e9"]), ["train", "restval"]
            case 2:
                one, meant = dice.choice([None, 7, "x", []]), ["train", "restval"]
            case 3:
                one["image"] = f"{folder}/dog.jpg"
        listed.append(one)
        wanted.update(meant)
    put("coco_karpathy_train.json", written(listed))
    assert lengths(run, "coco_caption", ("train", "restval")) == wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_laviss_sentences_in_lists(put: Put, run: Run, seed: int) -> None:
    dice = random.Random(seed)
    listed = [{"image": "val2014/COCO_val2014_000000000001.jpg", "caption": ["A dog."]}]
    for number in range(2, 40):
        said = [dice.choice(["A dog.", "A cat.", *JUNK]) for _ in range(dice.randint(1, 7))]
        image = dice.choice([f"val2014/COCO_val2014_{number:012}.jpg"] * 3 + NO_TEXT)
        listed.append({"image": image, "caption": said})
    put("coco_karpathy_val.json", written(listed))
    assert len(run("coco_caption", "val")) == sum(len(one["caption"]) for one in listed)


def spoilt(line: bytes, dice: random.Random) -> bytes:
    """A line of the token file without its number, its name's end, its tab, its sentence or its letters, or none."""
    return dice.choice(
        [
            b"",
            b"x" + line,
            line[dice.randrange(len(line)) :],
            line.replace(b"\t", b" "),
            line[:-6] + b"\xff",
            line.replace(b"#", b""),
            line.partition(b"\t")[0],
            line.replace(b".jpg", b".png"),
        ]
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_lines_of_a_token_file(put: Put, run: Run, seed: int) -> None:
    dice, splits = random.Random(seed), ("train", "val", "test")
    listed = {split: [100_000 * place + n for n in range(1, 25)] for place, split in enumerate(splits, 1)}
    for split, ids in listed.items():
        put(f"{split}.txt", "".join(f"{id}\n" for id in ids).encode())
    lines = [b"%d.jpg#%d\tA dog ." % (id, n) for ids in listed.values() for id in ids for n in range(5)]
    put("results_20130124.token", b"\n".join(spoilt(one, dice) if dice.random() < 0.15 else one for one in lines))
    assert lengths(run, "flickr30k_caption", splits) == dict.fromkeys(splits, 5 * 24)


XML = (
    b"<annotation><filename>%d.jpg</filename><size><width>200</width><height>100</height><depth>3</depth></size>"
    b"<object><name>1</name><bndbox><xmin>21</xmin><ymin>11</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>"
    b"</annotation>"
)


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def entities(dice: random.Random) -> tuple[dict[str, bytes], dict[int, int]]:
    """Files of forty pictures, some of them gone or wrong, and how many phrases each is known to have."""
    files, phrases = {"Annotations/1.xml": XML % 1, "Sentences/1.txt": b"a\nb\nc\nd\ne\n"}, {1: 0}
    for id in range(2, 42):
        counts = [dice.randint(0, 4) for _ in range(5)]
        text = "".join(" and ".join(["so"] + ["[/EN#1/people a man]"] * count) + " .\n" for count in counts).encode()
        xml, phrases[id] = XML % id, sum(counts)
        if dice.random() < 0.3:
            at = dice.randrange(len(xml))
            xml = dice.choice([b"", xml[:at], xml[:at] + b"<" + xml[at:], xml.replace(b"<xmin>", b"<xmin>99")])
        match dice.randrange(8):
            case 0:
                text, phrases[id] = dice.choice([b"", text[: text.index(b"\n")], text + b"\xff", text + text]), 5
            case 1:
                bracket, instead = dice.choice([(b"]", b""), (b"]", b"]]"), (b"]", b" ]"), (b"[", b""), (b"[", b"[[")])
                text = text.replace(bracket, instead)
        files |= {f"Annotations/{id}.xml": xml} if dice.random() < 0.9 else {}
        if dice.random() < 0.9:
            files[f"Sentences/{id}.txt"] = text
        else:
            phrases[id] = 5
    return files, phrases


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("form", ["folders", "zip"])
def test_sentences_and_phrases_of_flickr30k_entities(put: Put, run: Run, form: str, seed: int) -> None:
    files, phrases = entities(random.Random(seed))
    put("train.txt", "".join(f"{id}\n" for id in phrases).encode())
    put("UNRELATED_CAPTIONS", b"2 1\n")
    for name, data in files.items() if form == "folders" else [("annotations.zip", zipped(files))]:
        put(name, data)
    for source in ("flickr30k_grounded", "flickr30k_parsing", "flickr30k_caption"):
        assert len(run(source, "train")) == 5 * len(phrases)
    assert len(run("flickr30k_phrase", "train")) == sum(phrases.values())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("source", "prefix"), [("vqav2", "v2_"), ("okvqa", "")])
def test_questions_of_two_files(put: Put, run: Run, source: str, prefix: str, seed: int) -> None:
    dice, numbers = random.Random(seed), range(1000, 1120)
    asked: list[Any] = [{"question_id": n, "image_id": n // 10, "question": "Is it wet?"} for n in numbers]
    given = [{"answer": "yes", "raw_answer": "yes"}] * 10
    answered: list[Any] = [{"question_id": n, "image_id": n // 10, "answers": given} for n in numbers]
    for rows in (asked, answered):
        for place in range(1, len(rows)):
            if dice.random() < 0.2:
                rows[place] = dice.choice(JUNK[:-1]) if dice.random() < 0.2 else broken(rows[place], dice)
            if isinstance(rows[place], dict) and rows[place].get("question_id") == 7:
                rows[place]["question_id"] = None  # seven would be a number, if a wrong one
    del answered[-dice.randrange(1, 5) :]
    put(f"{prefix}OpenEnded_mscoco_train2014_questions.json", written({"questions": asked}))
    put(f"{prefix}mscoco_train2014_annotations.json", written({"annotations": answered}))
    outcomes = run(source, "train")
    assert len(outcomes) == len(numbers)
    assert sum(one.record is not None for one in outcomes) > 40
