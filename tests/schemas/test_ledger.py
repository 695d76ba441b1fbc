import msgspec
import pytest

from schemas.errors import ShardError
from schemas.ledger import Count, Ledger, Part, Tally

REFER, CHAT = Part("refcoco", "val", "refer"), Part("llava", "train", None)


def test_every_candidate_is_counted_where_it_ended() -> None:
    ledger = Ledger()
    ledger.written(REFER)
    ledger.written(REFER, ["box clipped", "box clipped"], count=2)
    ledger.rejected(REFER, "no box")
    ledger.rejected(REFER, "empty phrase", count=3)
    ledger.filtered(REFER, "crowd", count=4)
    (tally,) = ledger.tallies()
    assert tally == Tally(
        source="refcoco",
        split="val",
        task="refer",
        candidates=11,
        written=3,
        rejected=[Count("empty phrase", 3), Count("no box", 1)],
        filtered=[Count("crowd", 4)],
        notes=[Count("box clipped", 2)],
    )
    assert (tally.rejects, tally.left_out, tally.balanced, tally.part) == (4, 4, True, REFER)


def test_a_part_that_was_opened_has_a_line_of_zeros() -> None:
    ledger = Ledger()
    ledger.open(CHAT)
    assert ledger.tallies() == [Tally("llava", "train", None, 0, 0, [], [], [])]


def test_opening_a_part_again_loses_nothing() -> None:
    ledger = Ledger()
    ledger.written(REFER)
    ledger.open(REFER)
    assert ledger.tallies()[0].written == 1


def test_equal_counts_are_equal_bytes_whatever_their_order() -> None:
    one, other = Ledger(), Ledger()
    for part, reason in ((REFER, "b"), (CHAT, "a"), (REFER, "a")):
        one.rejected(part, reason)
    for part, reason in ((REFER, "a"), (REFER, "b"), (CHAT, "a")):
        other.rejected(part, reason)
    assert msgspec.json.encode(one.tallies()) == msgspec.json.encode(other.tallies())
    assert [str(tally.part) for tally in one.tallies()] == ["llava/train/chat", "refcoco/val/refer"]


def test_ledgers_add_up() -> None:
    one, other = Ledger(), Ledger()
    one.written(REFER, ["box clipped"])
    one.filtered(REFER, "crowd")
    other.written(REFER, ["box clipped"], count=1)
    other.rejected(REFER, "no box")
    other.written(CHAT)
    both = Ledger([*one.tallies(), *other.tallies()]).tallies()
    assert both == [
        Tally("llava", "train", None, 1, 1, [], [], []),
        Tally("refcoco", "val", "refer", 4, 2, [Count("no box", 1)], [Count("crowd", 1)], [Count("box clipped", 2)]),
    ]


@pytest.mark.parametrize(
    "damage",
    [{"candidates": 4}, {"written": 2}, {"rejected": []}, {"filtered": [Count("crowd", 2)]}],
)
def test_a_ledger_that_does_not_sum_is_refused(damage: dict[str, object]) -> None:
    sound = Tally("refcoco", "val", "refer", 3, 1, [Count("no box", 1)], [Count("crowd", 1)], [])
    assert Ledger([sound]).tallies() == [sound]
    with pytest.raises(ShardError, match=r"^the ledger of refcoco/val/refer does not sum: "):
        Ledger([msgspec.structs.replace(sound, **damage)]).tallies()


def test_a_reason_listed_twice_in_a_forged_line_is_refused() -> None:
    forged = Tally("refcoco", "val", "refer", 3, 1, [Count("no box", 1), Count("no box", 1)], [], [])
    assert forged.balanced
    with pytest.raises(ShardError, match="does not sum"):
        Ledger([forged]).tallies()


def test_notes_do_not_count_as_an_end() -> None:
    ledger = Ledger()
    ledger.written(REFER, ["a", "b", "c"])
    assert ledger.tallies()[0].candidates == 1


def test_a_line_survives_json() -> None:
    ledger = Ledger()
    ledger.rejected(CHAT, "empty turn")
    data = msgspec.json.encode(ledger.tallies())
    assert msgspec.json.decode(data, type=list[Tally]) == ledger.tallies()
