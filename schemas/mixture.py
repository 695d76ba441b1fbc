"""A mixture (what a person writes for a training stage), and which splits it holds out."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from schemas.box import CODECS
from schemas.config import Config, validated
from schemas.errors import unknown
from schemas.ledger import Part
from schemas.prompt import SLOTS
from schemas.text import TASKS

Unit = Literal["sample", "batch", "image", "token"]
STRICT, RELEASED = "strict", "released"
MOST = 2**31  # of steps, and of what makes one


def _one_of(kind: str, known: Any) -> AfterValidator:
    def checked(name: str) -> str:
        if name not in known:
            raise ValueError(unknown(kind, name, known))
        return name

    return AfterValidator(checked)


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Few = Annotated[int, Field(ge=1, le=MOST)]
Share = Annotated[float, Field(ge=0, le=1)]


class Filters(Config):
    """Which records of a part are taken, by what the record index says of them; a bound belongs to what it allows.

    Areas are shares of the picture and speak of a record's smallest box; a record without boxes passes them.
    Scores are those of its picture, by name; a picture without the score does not pass.
    """

    min_area: Share | None = None
    max_area: Share | None = None
    min_boxes: int | None = Field(None, ge=0)
    max_boxes: int | None = Field(None, ge=0)
    min_turns: int | None = Field(None, ge=1)
    max_turns: int | None = Field(None, ge=1)
    min_chars: int | None = Field(None, ge=0)
    max_chars: int | None = Field(None, ge=0)
    min_score: dict[str, float] = Field(default_factory=dict)
    max_score: dict[str, float] = Field(default_factory=dict)


class PartEntry(Config):
    """One part of a mixture: how much of it is drawn, and what of it may be.

    ``weight`` is relative to the other parts', in the mixture's unit; ``epochs`` asks for so many passes over the part
    within the stage instead. ``task: null`` is plain chat. ``pool`` names the pool where several hold the part.
    ``max_records`` keeps so many, chosen by hash. ``wording`` is a template pool in place of the record's own, which
    plain chat has none of.
    """

    source: str
    split: str = "train"
    task: Annotated[str, _one_of("task", TASKS)] | None
    pool: str | None = None
    weight: Positive | None = None
    epochs: Positive | None = None
    max_records: int | None = Field(None, ge=1)
    batch_size: Few | None = None
    wording: Annotated[str, _one_of("template pool", SLOTS)] | None = None
    filters: Filters = Filters()

    @model_validator(mode="after")
    def _told(self) -> "PartEntry":
        if (self.weight is None) == (self.epochs is None):
            raise ValueError(f"{self.part}: wanted one of weight and epochs")
        if self.wording and self.task is None:
            raise ValueError(f"{self.part}: wording {self.wording!r}: nothing of plain chat is worded")
        return self

    @property
    def part(self) -> Part:
        """The part that the entry weighs."""
        return Part(self.source, self.split, self.task)


class Train(Config):
    """The stage's hyper-parameters: for the trainer, and for what draws and epochs are predicted from.

    ``steps`` may be None where every part says its epochs: then they make the budget. ``global_batch`` is samples a
    step, over all ranks; in unit ``batch`` it is None and ``batches`` is how many batches make a step, over all ranks.
    """

    steps: Few | None = None
    global_batch: Few | None = None
    batches: Few | None = None
    max_lr: Positive | None = None
    min_lr: Positive | None = None
    warmup_lr: Positive | None = None
    warmup_steps: int | None = Field(None, ge=0)
    weight_decay: float | None = Field(None, ge=0)


class Render(Config):
    """How records are put into words when they are loaded.

    ``reword``: another wording and another of a question's answers in each epoch of a part. ``codec``: tokens in
    another codec than the pool's. ``identifiers: false``: no ``[task]`` in front. ``text: released``: the lower case,
    the punctuation and the cut at 50 words of MiniGPT-v2's released recipe.
    """

    reword: bool = True
    codec: Annotated[str, _one_of("codec", CODECS)] | None = None
    identifiers: bool = True
    text: Literal["source", "released"] = "source"


class Mixture(Config):
    """A stage's YAML.

    ``unit`` is what weights are shares of: samples (records), batches of one part each, images, or tokens of text.
    ``temperature`` flattens weights: each becomes weight ** (1 / temperature). ``window`` is how many shards a part's
    order is mixed within, None for the whole pool (local disks). ``per_image`` joins so many records of a part that
    speak of one picture into one sequence. ``held_out`` is ``strict``, ``released`` (nothing), or a list of
    source/split, ``strict`` among them or not; ``near_held_out`` also holds out pictures whose likeness differs in at
    most so many of 64 bits from a held-out one's. ``roots`` say, by source, where annotations of held-out splits lie.
    """

    stage: int | str
    unit: Unit
    seed: int = 0
    temperature: Positive = 1.0
    window: int | None = Field(None, ge=1)
    per_image: Few | Literal["all"] = 1
    parts: list[PartEntry] = Field(min_length=1)
    held_out: Literal["strict", "released"] | list[str] = "strict"
    near_held_out: int | None = Field(None, ge=0, le=8)
    roots: dict[str, str] = Field(default_factory=dict)
    templates: str | None = None
    render: Render = Render()
    train: Train = Train()

    @model_validator(mode="after")
    def _sound(self) -> "Mixture":
        seen = set[tuple[Part, str | None]]()
        for entry in self.parts:
            if (entry.part, entry.pool) in seen:
                raise ValueError(f"part {entry.part} is listed twice")
            seen.add((entry.part, entry.pool))
        self._insist_step()
        return self

    def _insist_step(self) -> None:
        sized = [entry.part for entry in self.parts if entry.batch_size is not None]
        if self.unit == "batch":
            unsized = [entry.part for entry in self.parts if entry.batch_size is None]
            if unsized or self.train.batches is None or self.train.global_batch is not None:
                where = f"part {unsized[0]} has no batch_size" if unsized else "train"
                raise ValueError(f"unit batch: {where}; wanted batch_size of each part, train.batches, no global_batch")
        elif sized or self.train.global_batch is None or self.train.batches is not None:
            where = f"part {sized[0]} has a batch_size" if sized else "train"
            raise ValueError(f"unit {self.unit}: {where}; wanted train.global_batch, no batches and no batch_size")
        if self.train.steps is None and any(entry.epochs is None for entry in self.parts):
            raise ValueError("train.steps: wanted a number, unless every part says its epochs")


class HeldSplit(Config):
    """A split that may be held out: other parts that have the same pictures, and the forms that it is published in.

    ``named``: only where a mixture names it, not by ``strict``.
    """

    split: str = Field(pattern=r"^[a-z0-9_]+/[A-Za-z0-9_]+$")
    same: list[str] = Field(default_factory=list)
    forms: list[str] | None = None
    named: bool = False
    why: str = ""


class HeldOut(Config):
    """manifests/held_out.yaml: every split that can be held out by name."""

    splits: list[HeldSplit]


def mixture(raw: Any, where: str) -> Mixture:
    """The mixture of parsed YAML; ConfigError in one line naming the key, with near ones where it is unknown."""
    return validated(Mixture, raw, where)
