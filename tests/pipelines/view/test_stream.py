"""Tests of a lock's stream: it shows what the loader feeds, draw by draw, pixel by pixel, token by token."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.dialogue import IGNORED, dialogue, encoded
from pipelines.draws import drawing
from pipelines.load import picture
from pipelines.tokenizer import trained_tokenizer
from pipelines.view.query import Cursor
from pipelines.view.stream import Stream
from pipelines.view.tokens import tokens_by
from schemas.errors import ConfigError

PARTS = [
    {"source": "coco_caption", "split": "train", "task": "caption", "weight": 2},
    {"source": "refcoco", "split": "train", "task": "refer", "weight": 2},
    {"source": "unnatural", "split": "train", "task": None, "weight": 1},
]


@pytest.fixture(scope="module")
def lock_path(
    mix_pools: dict[str, str], lock_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    pools = [Path(mix_pools[name]) for name in ("coco", "lang")]
    return lock_of(tmp_path_factory.mktemp("locks") / "seen.lock.json", pools, PARTS)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    trained_tokenizer(["a circle left of the square [INST] where is what"], 480).save(str(path))
    return path


def test_draws_are_told_as_the_loader_feeds_them(lock_path: Path) -> None:
    stream, draws = Stream(lock_path), drawing(lock_path)
    found, at = stream.page(Cursor(), 1000)
    assert at is None and len(found) == stream.length == 8 * 12
    for k, one in enumerate(found):
        fetched = draws.fetch(k)
        assert (one["at"], one["part"], one["epoch"]) == (f"{k}.0", str(fetched.part), fetched.epoch)
        assert [told["key"] for told in one["records"]] == [record.key for record in fetched.records]
        assert one["picture"] == (fetched.picture is not None)
    assert {one["part"] for one in found} == {str(part.part) for part in draws.lock.parts}


def test_pages_of_draws_join_and_a_draw_there_is_not_is_refused(lock_path: Path) -> None:
    stream = Stream(lock_path)
    first, at = stream.page(Cursor(5), 3)
    assert [one["at"] for one in first] == ["5.0", "6.0", "7.0"] and at == Cursor(8)
    for wrong in (Cursor(stream.length), Cursor(0, 1)):
        with pytest.raises(ConfigError, match="no draw"):
            stream.page(wrong, 1)


def test_in_unit_batch_each_place_of_a_batch_is_a_sequence(
    mix_pools: dict[str, str], lock_of: Callable[..., Path], tmp_path: Path
) -> None:
    parts = [{**PARTS[0], "batch_size": 3}, {**PARTS[1], "batch_size": 2}]
    lock = lock_of(tmp_path / "batch.lock.json", [Path(mix_pools["coco"])], parts, unit="batch")
    stream = Stream(lock)
    found, _ = stream.page(Cursor(), 30)
    sizes = {"coco_caption/train/caption": 3, "refcoco/train/refer": 2}
    expected: list[str] = []
    for k in range(30):
        expected += [f"{k}.{place}" for place in range(sizes[str(stream.draws.fetch(k).part)])]
    assert [one["at"] for one in found] == expected[:30]


def test_the_square_is_the_one_that_the_loader_makes(lock_path: Path) -> None:
    stream = Stream(lock_path)
    at = next(Cursor(k) for k in range(96) if stream.fetch(Cursor(k)).picture)
    data = stream.fetch(at).picture
    assert data
    with Image.open(io.BytesIO(stream.square(at))) as image:
        seen = np.asarray(image, np.float64)
    fed = picture(data).permute(1, 2, 0).numpy().astype(np.float64)
    assert seen.shape == (448, 448, 3)
    assert np.mean((seen - fed) ** 2) < 255**2 / 10**5, "less than 50 dB apart"


def test_tokens_are_those_that_are_trained_on_and_say_what_the_loss_is_of(lock_path: Path, tokenizer: Path) -> None:
    from pipelines.tokenizer import load_tokenizer

    stream = Stream(lock_path, tokens_by(tokenizer))
    by = dialogue(load_tokenizer(tokenizer), 256)
    found, _ = stream.page(Cursor(), 24)
    kinds: set[str] = set()
    for k, one in enumerate(found):
        fetched = stream.draws.fetch(k)
        (record,) = fetched.records
        whole = encoded(by, record.messages, picture=one["picture"], key=record.key)
        shown = [token for token in one["tokens"] if token[1] != "other"]
        ids = [id_ for id_ in whole.ids if id_ >= 0]
        assert [id_ for _, _, id_ in shown] == ids
        trained = [label != IGNORED for id_, label in zip(whole.ids, whole.labels, strict=True) if id_ >= 0]
        assert [kind != "seen" for _, kind, _ in shown] == trained
        assert ([token for token in one["tokens"] if token[1] == "other"] == [("picture", "other", 256)]) == one[
            "picture"
        ]
        kinds |= {kind for _, kind, _ in shown}
    assert kinds == {"seen", "trained", "boxed"}


def test_a_lock_is_served(lock_path: Path, serve: Any, get: Callable[..., Any]) -> None:
    server = serve(lock_path)
    assert b'data-kind="lock"' in get(server, "/").body
    about = get(server, "/api/about").said
    assert (about["kind"], about["draws"], about["tokens"]) == ("lock", 96, False)
    page = get(server, "/api/draws?from=90.0").said
    assert len(page["draws"]) == 6 and page["next"] is None
    boxed = next(one for one in page["draws"] if one["picture"])
    got = get(server, f"/picture/{boxed['at']}")
    assert got.headers["Content-Type"] == "image/png" and got.body.startswith(b"\x89PNG")
    for path in ("/api/draws?from=96.0", "/api/draws?from=x", "/picture/96.0"):
        assert get(server, path).status == 400
    assert get(server, "/api/page").status == 404
    assert json.loads(get(server, "/api/draws").body)["next"] == "12.0"
