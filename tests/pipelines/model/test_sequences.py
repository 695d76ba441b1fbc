"""Records side by side: what is filled up, who sees whom, and what does not fit."""

import pytest
import torch

from pipelines.dialogue import IGNORED, Dialogue, encoded, joined
from pipelines.model.sequences import padded, seen, written
from schemas.errors import TextError
from schemas.record import Draw, Message, Record

BOX = "{<12><30><45><88>}"


def record(key: str, *texts: str) -> Record:
    messages = [Message("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]
    return Record(key, "refcoco", "train", None, messages, [], Draw(None, [], []), [])


ONE, TWO = record("a", "the star", BOX), record("b", "the dog and the cat", BOX, "red", "hat")


def test_a_place_sees_itself_and_earlier_ones_of_the_shared_part_and_of_its_own_record() -> None:
    wanted = """
        X.......
        XX......
        XXX.....
        XXXX....
        XX..X...
        XX..XX..
        XX....X.
        XX....XX"""
    mask = seen(torch.tensor([[0, 0, 1, 1, 2, 2, -1, -1]]))
    assert ["".join("X" if flag else "." for flag in row) for row in mask[0, 0].tolist()] == wanted.split()


def test_records_become_rows_of_joined_sequences_filled_up_on_the_right(clean: Dialogue) -> None:
    made, cut = written(clean, [(ONE, TWO), (ONE,)], torch.tensor([0, -1]))
    alone = [encoded(clean, each.messages, picture=True, key="k") for each in (ONE, TWO)]
    text = encoded(clean, ONE.messages, picture=False, key="k")
    first, length = joined(alone), len(text.ids)
    assert cut == 0 and made.image_of.tolist() == [0, -1]
    assert made.segments is not None and made.positions is not None
    for name, filling in (("ids", 0), ("labels", IGNORED), ("boxed", False), ("segments", -1), ("positions", 0)):
        rows = getattr(made, name).tolist()
        assert rows[0] == getattr(first, name)
        assert rows[1] == getattr(text, name) + [filling] * (len(first.ids) - length)


def test_rows_of_one_record_each_need_no_segments(clean: Dialogue) -> None:
    made, _ = written(clean, [(ONE,), (TWO,)], [0, 1])
    assert made.segments is made.positions is None
    assert padded([encoded(clean, ONE.messages, picture=True, key="k")], [0]).segments is None


def test_turns_left_out_are_counted_and_a_record_too_long_is_named(clean: Dialogue) -> None:
    limit = len(encoded(clean, TWO.messages[:2], picture=True, key="k").ids)
    made, cut = written(clean, [(TWO,), (ONE, TWO)], [0, 1], max_length=limit)
    assert cut == 2 and written(clean, [(TWO,)], [0], max_length=limit + 99)[1] == 0
    assert made.ids[0, limit:].tolist() == [0] * (made.ids.shape[1] - limit)
    with pytest.raises(TextError, match=r"too long: .* tokens in b, wanted at most"):
        written(clean, [(ONE, TWO)], [0], max_length=limit - 1)


def test_sequences_move_whole(clean: Dialogue) -> None:
    for rows in ([(ONE,)], [(ONE, TWO)]):
        made = written(clean, rows, [0])[0].to("meta")
        assert {each.device.type for each in made if each is not None} == {"meta"}
