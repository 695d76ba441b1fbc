"""Real rows of Flickr30k Entities, where there are any: BOXCAR_REAL_ROWS names a folder with flickr30k_entities/.

What is expected is computed from the files by other means: ElementTree, and a scan of the sentences for brackets.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipelines.convert import Outcome, job, outcomes
from schemas.prompt import Wording

ENTITIES = Path(os.environ.get("BOXCAR_REAL_ROWS") or "nowhere") / "flickr30k_entities"
TOKEN = re.compile(r"\{<([0-9]+)><([0-9]+)><([0-9]+)><([0-9]+)>\}")
MARKUP = re.compile(r"</?p>| ?(?:<delim>)?\{[<>0-9]+\}")

pytestmark = pytest.mark.skipif(
    not (ENTITIES / "val.txt").is_file(), reason="BOXCAR_REAL_ROWS names no folder with flickr30k_entities/ in it"
)
Tokens = tuple[int, ...]


@cache
def all_there(root: Path) -> tuple[str, ...]:
    """Ids of the pictures whose files are there, listed or not."""
    return tuple(sorted(path.stem for path in (ENTITIES / "Annotations").glob("*.xml")))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real files as a train split of every picture that is there, so that none is missing."""
    folder = tmp_path_factory.mktemp("entities")
    for name in ("Annotations", "Sentences", "UNRELATED_CAPTIONS"):
        (folder / name).symlink_to(ENTITIES / name)
    (folder / "train.txt").write_text("\n".join(all_there(ENTITIES)), encoding="utf-8")
    return folder


@cache
def boxes(id: str) -> dict[str, set[Tokens]]:
    """The tokens of each chain's boxes."""
    tree = ElementTree.parse(ENTITIES / "Annotations" / f"{id}.xml").getroot()
    width, height = (int(tree.findtext(f"size/{side}") or 0) for side in ("width", "height"))
    found: dict[str, set[Tokens]] = {}
    for one in tree.iter("object"):
        corners = [int(one.findtext(f"bndbox/{name}") or 0) for name in ("xmin", "ymin", "xmax", "ymax")]
        edges = [value - (place < 2) for place, value in enumerate(corners)]
        tokens = tuple(round(edge / (height if place % 2 else width) * 100) for place, edge in enumerate(edges))
        for name in one.iter("name"):
            found.setdefault(name.text or "", set()).update([tokens] if one.find("bndbox") is not None else [])
    return found


@cache
def sentences(id: str) -> tuple[str, ...]:
    return tuple((ENTITIES / "Sentences" / f"{id}.txt").read_text(encoding="utf-8").splitlines())


def phrases(sentence: str) -> list[tuple[str, str]]:
    """Chain and words of every phrase: what stands between a bracket and the next."""
    marks = [part.partition("]")[0] for part in sentence.split("[")[1:]]
    return [(mark.split("/")[1].removeprefix("EN#"), mark.partition(" ")[2]) for mark in marks]


def boxed(id: str, sentence: str) -> list[tuple[str, str]]:
    return [(chain, words) for chain, words in phrases(sentence) if boxes(id).get(chain)]


def unrelated() -> set[str]:
    lines = (ENTITIES / "UNRELATED_CAPTIONS").read_text(encoding="utf-8").splitlines()[1:]
    return {f"{id}-{int(number) - 1}" for id, number in (line.split() for line in lines)}


def wanted(fewest: int) -> Iterator[tuple[str, str, str]]:
    """Key, picture and sentence of all that should be converted."""
    for id in all_there(ENTITIES):
        for number, sentence in enumerate(sentences(id)):
            if f"{id}-{number}" not in unrelated() and len(boxed(id, sentence)) >= fewest:
                yield f"{id}-{number}", id, sentence


def converted(root: Path, source: str, fewest: int) -> dict[str, Outcome]:
    found = outcomes(job(source, str(root), "train", options={"min_phrases": str(fewest)}), Wording())
    return {one.key.split("/")[2]: one for one in found}


@pytest.mark.parametrize("source", ["flickr30k_grounded", "flickr30k_parsing", "flickr30k_phrase"])
def test_nothing_real_is_rejected(root: Path, source: str) -> None:
    assert [one.detail for one in converted(root, source, 1).values() if one.record is None and not one.rule] == []


@pytest.mark.parametrize("fewest", [1, 5])
def test_every_sentence_with_enough_boxed_phrases_is_grounded(root: Path, fewest: int) -> None:
    found = {key: one.record for key, one in converted(root, "flickr30k_grounded", fewest).items() if one.record}
    assert list(found) == [key for key, _, _ in wanted(fewest)]
    for key, id, sentence in wanted(fewest):
        said = found[key].messages[1].content
        assert said.count("<p>") == len(boxed(id, sentence))
        assert MARKUP.sub("", said) == re.sub(r"\[/EN#\S+ |\]", "", sentence).strip()


@pytest.mark.parametrize("fewest", [1, 5])
def test_every_boxed_phrase_has_exactly_its_chains_boxes(root: Path, fewest: int) -> None:
    found = converted(root, "flickr30k_phrase", fewest)
    expected = 0
    for key, id, sentence in wanted(fewest):
        for number, (chain, words) in enumerate(phrases(sentence)):
            one = found[f"{key}-{number}"]
            assert (one.record is not None) == bool(boxes(id).get(chain))
            if one.record is None:
                assert one.reason == "phrase without boxes"
                continue
            expected += 1
            said = one.record.messages[1].content
            assert said.startswith(f"<p>{words}</p> ")
            tokens = [tuple(map(int, token)) for token in TOKEN.findall(said)]
            assert set(tokens) == boxes(id)[chain]
            assert [list(box) for box in one.record.boxes] == sorted(list(box) for box in one.record.boxes)
    assert sum(one.record is not None for one in found.values()) == expected
    assert expected > (100 if fewest == 5 else 800)


def test_a_parsed_caption_has_the_same_phrases_in_the_same_order(root: Path) -> None:
    found = {key: one.record for key, one in converted(root, "flickr30k_parsing", 5).items() if one.record}
    for key, id, sentence in wanted(5):
        said = re.findall("<p>(.*?)</p>", found[key].messages[1].content)
        assert said == [words for _, words in boxed(id, sentence)]
    assert len(found) == len(list(wanted(5)))


def test_all_phrases_and_sentences_are_counted(root: Path) -> None:
    every = [sentence for id in all_there(ENTITIES) for sentence in sentences(id)]
    found = converted(root, "flickr30k_phrase", 5)
    assert len(found) == sum(len(phrases(sentence)) for sentence in every)
    captions = outcomes(job("flickr30k_caption", str(root), "train"), Wording())
    reasons = Counter(one.reason for one in captions)
    assert reasons == {"": len(every) - 2, "unrelated caption": 2}
