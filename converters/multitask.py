"""Multi-turn conversations about one picture, made of what several sources say of it.

Reads no files: a picture's records of several tasks and one split, as they lie in one sample of a pool, become
conversations when the sample is packed. MiniGPT-v2 trained on such a mix (its multi_task_conversation.json), made of
RefCOCO's annotations and of its own model's predictions, and did not release it; this one holds published facts only.
A turn may follow others only if
  no earlier turn gives its answer away: no phrase of the answer was said before, as whole words, whatever their case
    and number, and what yes, no or a number answers is asked only before all lists and descriptions
  nothing is spoken of twice: no box of it is in tokens, or overlaps by more than half (IoU), one of an earlier turn;
    the picture as a whole is described once, and not in words that answered before, and no question is asked again
Which turns, how many and in which order are functions of a hash. Each record names the records that it is made of.
Chen et al., MiniGPT-v2, 2023, arXiv:2310.09478, section 3.3.
"""

from collections.abc import Iterable, Sequence

from converters._table import Pictured, Source, Variant
from converters._turns import Turn, placed, turn
from schemas.errors import Filtered
from schemas.prompt import Wording, draw
from schemas.record import Draw, ImageRef, Pair, Record


class Facts(Pictured, frozen=True, kw_only=True):
    """What there is to make the n-th conversation of a picture of, and between how many turns it may have."""

    records: list[Record]
    number: int
    least: int
    most: int


def conversation(row: Facts, wording: Wording) -> Record:
    """The picture's n-th conversation; Filtered where what is left of its records does not make one."""
    turns: list[Turn] = []
    left = [turn(record) for record in row.records]
    for number in range(row.number + 1):
        used = {one.record.key for one in turns}
        left = [one for one in left if one.record.key not in used]
        turns = _chosen(left, row, f"{row.image.id}/{number}", wording.seed)
    if len(turns) < row.least or len({one.record.task for one in turns}) < 2:
        raise Filtered(f"too few facts: {len(turns)} turns of {row.image.id}, wanted {row.least} of two tasks or more")
    return Record(
        key=row.key(None),
        source=row.source,
        split=row.split,
        task=None,
        messages=[message for one in turns for message in one.record.messages],
        boxes=[box for one in turns for box in one.record.boxes],
        draw=Draw(None, [], []),
        meta=[Pair("record", one.record.key) for one in turns],
    )


def facts(image: ImageRef, split: str, records: Iterable[Record], turns: tuple[int, int], count: int) -> list[Facts]:
    """One row per conversation to be made of these records, which all speak of this picture."""
    single = [record for record in records if len(record.messages) == 2]
    least, most = turns
    return [
        Facts(
            source=SOURCE.name,
            split=split,
            id=f"{image.id}-{number}",
            image=image,
            records=single,
            number=number,
            least=least,
            most=most,
        )
        for number in range(count)
    ]


def _chosen(turns: Sequence[Turn], row: Facts, what: str, seed: int) -> list[Turn]:
    wanted = row.least + draw(seed, what, 0, "turns") % (row.most - row.least + 1)
    left = sorted(turns, key=lambda one: (draw(seed, one.record.key, 0, what), one.record.key))
    chosen: list[Turn] = []
    while len(chosen) < wanted:
        tasks = [one.record.task for one in chosen]
        tried = sorted(left, key=lambda one: tasks.count(one.record.task))
        longer = next((found for one in tried if (found := placed(one, chosen))), None)
        if longer is None:
            break
        chosen = longer
    return chosen


SOURCE = Source(
    name="multitask",
    title="Multi-turn mixes of a pool's own records",
    collection=None,
    splits={"train": "train", "restval": "train", "val": "eval", "testA": "eval", "testB": "eval", "test": "eval"},
    forms=(),
    variants=(Variant(None, "a conversation of a picture", conversation, boxed=False),),
    unit="conversations",
    counted=(),
    licence="that of the sources it is made of",
    citation="Chen et al. 2023, arXiv:2310.09478",
    homepage="https://github.com/Vision-CAIR/MiniGPT-4",
    notes="made when a pool is packed: put multitask: {} into the pool's YAML",
)
CONVERTERS = (SOURCE,)
