"""Unnatural Instructions: instructions and answers in text alone, written by a language model.

Reads one of
  core      core_data.jsonl, as published (github.com/orhonovich/unnatural-instructions)
  full      full_data.jsonl, the same instructions with paraphrases of them, ``reformulations``
  filtered  filtered_unnatural_instruction.json, MiniGPT-v2's list of core's objects, without very long ones
An object holds ``instances``, each with ``instruction_with_input`` (the instruction, its input in it), ``constraints``
on the output, and ``output``; a reformulation has no constraints. Each gives one record of plain chat, the constraints
on a line of their own after the instruction. Quirks: most instructions have one instance, some have several, of which
MiniGPT-v2 takes the first; no constraints are null, empty, or some spelling of "None.".
Honovich et al., Unnatural Instructions, 2022, arXiv:2212.09689.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from converters._read import Broken, items, lines, objects, read
from converters._table import Form, Reading, Row, Shape, Source, Variant, Whole, malformed
from schemas.errors import ConfigError, Filtered
from schemas.prompt import Wording
from schemas.record import Record, chat
from schemas.text import tidy_lines

_ABSENT = ("", "none", "none.")


class _Text(msgspec.Struct, frozen=True):
    instruction_with_input: str
    output: str
    constraints: str | None = None


class _Example(msgspec.Struct, frozen=True):
    instances: list[Any]
    reformulations: list[Any] = []


class Instruction(Row, frozen=True, kw_only=True):
    """An instruction with its input, and the output; ``most_words`` is what both together may have, None for any."""

    instruction: str
    constraints: str
    output: str
    most_words: int | None


def core_rows(reading: Reading) -> Iterator[Row]:
    """One row per instance, from JSON lines."""
    _insist_not_reworded(reading)
    yield from full_rows(reading)


def full_rows(reading: Reading) -> Iterator[Row]:
    """One row per instance and per reformulation, from JSON lines."""
    (path,) = reading.files
    yield from _rows(reading, lines(read(path), _Example))


def listed_rows(reading: Reading) -> Iterator[Row]:
    """One row per instance, from a JSON list."""
    _insist_not_reworded(reading)
    (path,) = reading.files
    yield from _rows(reading, items(read(path), _Example, path))


def _insist_not_reworded(reading: Reading) -> None:
    if reading.options["reformulations"] == "yes":
        raise ConfigError(
            f"{reading.source}: reformulations=yes needs full_data.jsonl, {reading.files[0]} has none: use --form full"
        )


def _rows(reading: Reading, examples: Iterable[_Example | Broken]) -> Iterator[Row]:
    most = reading.number("max_words")
    first = reading.options["instances"] == "first"
    reworded = reading.options["reformulations"] == "yes"
    for place, example in enumerate(examples):
        if isinstance(example, Broken):
            yield malformed(reading, place, example.why)
        elif not example.instances:
            yield malformed(reading, place, "no instances, wanted at least one")
        else:
            yield from _texts(reading, f"{place}-", example.instances[:1] if first else example.instances, most)
            yield from _texts(reading, f"{place}-r", example.reformulations if reworded else [], most)


def _texts(reading: Reading, id: str, texts: list[Any], most: int | None) -> Iterator[Row]:
    for place, text in enumerate(objects(texts, _Text)):
        if isinstance(text, Broken):
            yield malformed(reading, f"{id}{place}", text.why)
            continue
        yield Instruction(
            source=reading.source,
            split=reading.split,
            id=f"{id}{place}",
            instruction=text.instruction_with_input,
            constraints=text.constraints or "",
            output=text.output,
            most_words=most,
        )


def instruct(row: Instruction, wording: Wording) -> Record:
    """The instruction with its constraints, and the output; Filtered where they are longer than asked for."""
    question = tidy_lines(row.instruction, "instruction")
    if row.constraints.strip().casefold() not in _ABSENT:
        question += "\n" + tidy_lines(row.constraints, "constraints")
    answer = tidy_lines(row.output, "output")
    if row.most_words is not None and (words := len(question.split()) + len(answer.split())) > row.most_words:
        raise Filtered(f"example too long: {words} words, at most {row.most_words}")
    return chat(row.key(None), row.source, row.split, [[question], [answer]], boxes=[])


_TRAIN = {"train": "train"}
_LINES = Shape("lines", frozenset({"instances"}))

CONVERTERS = (
    Source(
        name="unnatural",
        title="Unnatural Instructions",
        collection=None,
        splits={"train": "train"},
        forms=(
            Form("core", ("core_data.jsonl",), _TRAIN, core_rows, _LINES, {"train": 68_478}),
            Form("full", ("full_data.jsonl",), _TRAIN, full_rows, _LINES, {"train": 240_670}),
            Form(
                "filtered",
                ("filtered_unnatural_instruction.json",),
                _TRAIN,
                listed_rows,
                Shape("list", frozenset({"instances"})),
            ),
        ),
        variants=(Variant(None, candidate="an instance or a reformulation", record=instruct, boxed=False),),
        unit="instances and reformulations",
        counted=("chat",),
        licence="MIT",
        citation="Honovich et al. 2022, arXiv:2212.09689",
        homepage="https://github.com/orhonovich/unnatural-instructions",
        preferred=("core",),
        options={"instances": ("first", "all"), "reformulations": ("no", "yes"), "max_words": Whole(None)},
        notes="66,010 instructions; counts are of instances=all, those of the full file of reformulations=yes as well",
    ),
)
