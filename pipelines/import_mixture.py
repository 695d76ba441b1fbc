"""A mixture YAML of one of MiniGPT-4's training configs (its ``train_configs/*.yaml``, of version 1 or 2).

There each iteration draws one dataset by ``sample_ratio`` and fills a batch of its ``batch_size`` (before 2023-10:
``run.batch_size_train``), which is unit ``batch`` here. If the first dataset lacks a ratio all are drawn alike; if only
a later one does, its code fails. Numbers such as ``1e-5`` are texts to a YAML 1.1 reader and numbers to its own.
"""

import json
import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from manifests import load, parse
from schemas.config import shown
from schemas.errors import ConfigError, unknown
from schemas.mixture import mixture


class _Ours(NamedTuple):
    source: str
    task: str | None
    note: str = ""


_AUTHORS = "the authors' own file is source "
_LIST = "the shards are of BLIP's list; there without an instruction, here a caption is asked for"
DATASETS: Mapping[str, _Ours] = {
    "multitask_conversation": _Ours("multitask", None, f"made while a pool is packed; {_AUTHORS}minigpt4_multitask"),
    "unnatural_instruction": _Ours("unnatural", None, "the authors filtered theirs: option max_words"),
    "llava_detail": _Ours("llava_detail", None),
    "llava_reason": _Ours("llava_reason", None),
    "llava_conversation": _Ours("llava_conversation", None),
    "refcoco": _Ours("refcoco", "refer"),
    "refcocop": _Ours("refcocoplus", "refer"),
    "refcocog": _Ours("refcocog", "refer"),
    "invrefcoco": _Ours("refcoco", "identify"),
    "invrefcocop": _Ours("refcocoplus", "identify"),
    "invrefcocog": _Ours("refcocog", "identify"),
    "refvg": _Ours("vg", "refer", "keeps regions under 16,384 square pixels: max_area_px, when its pool is built"),
    "textcaps_caption": _Ours("textcaps", "caption"),
    "coco_caption": _Ours("coco_caption", "caption", "without Karpathy's restval, as there"),
    "coco_vqa": _Ours("vqav2", "vqa", "reads val too, where its pictures lie among the training ones"),
    "ok_vqa": _Ours("okvqa", "vqa"),
    "aok_vqa": _Ours("aokvqa", "vqa"),
    "gqa": _Ours("gqa", "vqa"),
    "ocrvqa": _Ours("ocrvqa", "vqa"),
    "flickr_grounded_caption": _Ours("flickr30k_grounded", "grounding", f"{_AUTHORS}minigpt4_flickr_grounded"),
    "flickr_CaptionToPhrase": _Ours("flickr30k_parsing", "detection", f"{_AUTHORS}minigpt4_flickr_parsing"),
    "flickr_ObjectToPhrase": _Ours("flickr30k_phrase", "detection", f"{_AUTHORS}minigpt4_flickr_phrase"),
    "laion": _Ours("blip_laion", "caption", _LIST),
    "cc_sbu": _Ours("blip_ccs", "caption", _LIST),
    "cc_sbu_align": _Ours("cc_sbu_align", None),
}
_RATES = {
    "init_lr": "max_lr",
    "min_lr": "min_lr",
    "warmup_lr": "warmup_lr",
    "warmup_steps": "warmup_steps",
    "weight_decay": "weight_decay",
}
_RUN = {*_RATES, "seed", "max_epoch", "iters_per_epoch", "world_size", "batch_size_train"}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
_LEAST, _MOST = 1e-9, 2**53


def imported(path: str) -> str:
    """The mixture YAML of a training config, with comments on what was mapped, and what has no counterpart.

    Raises ConfigError for what is no such config, an unknown dataset (with near names), and a ratio, batch size or
    number of steps that is missing or no number.
    """
    raw, where = load(path), Path(path).name
    run, sets = _mapping(raw, "run", where), _mapping(raw, "datasets", where)
    if not sets:
        raise ConfigError(f"{where}: datasets: there are none")
    parts = [line for name in sets for line in _part(name, sets, run, where)]
    lines = [*_head(raw, where), "parts:", *parts, "", "train:", *_train(run, where)]
    text = "\n".join(lines) + "\n"
    mixture(parse(text, where), where)
    return text


def _part(name: Any, sets: Mapping[Any, Any], run: Mapping[Any, Any], where: str) -> Iterator[str]:
    if name not in DATASETS:
        raise ConfigError(f"{where}: datasets: {unknown('dataset of MiniGPT-4', str(name), DATASETS)}")
    given, ours, place = _mapping(sets, name, f"{where}: datasets"), DATASETS[name], f"{where}: datasets.{name}"
    weighed = "sample_ratio" in next(iter(sets.values()))
    if weighed and "sample_ratio" not in given:
        raise ConfigError(f"{place}: no sample_ratio, wanted one as the first dataset has; MiniGPT-4 fails here too")
    weight = _number(given["sample_ratio"], f"{place}.sample_ratio", _LEAST) if weighed else "1"
    size = given.get("batch_size", run.get("batch_size_train"))
    if size is None:
        raise ConfigError(f"{place}: no batch_size, nor run.batch_size_train")
    if ours.note or name != ours.source:
        yield f"  # {name}{f': {ours.note}' if ours.note else ''}"
    amount = f"weight: {weight}, batch_size: {_whole(size, f'{place}.batch_size')}"
    yield f"  - {{source: {ours.source}, task: {ours.task or 'null'}, {amount}}}"


def _train(run: Mapping[Any, Any], where: str) -> Iterator[str]:
    for key in ("max_epoch", "iters_per_epoch"):
        if key not in run:
            raise ConfigError(f"{where}: run.{key}: not there, wanted a whole number")
    epochs, iterations = (_whole(run[key], f"{where}: run.{key}") for key in ("max_epoch", "iters_per_epoch"))
    yield f"  steps: {epochs * iterations} # {epochs} epochs of {iterations} iterations"
    yield "  # A batch for each rank: world_size, which torchrun replaces by the number of its processes."
    yield f"  batches: {_whole(run.get('world_size', 1), f'{where}: run.world_size')}"
    for theirs, ours in _RATES.items():
        if theirs in run:
            yield f"  {ours}: {_number(run[theirs], f'{where}: run.{theirs}')}{_odd(theirs, run, where)}"


def _odd(key: str, run: Mapping[Any, Any], where: str) -> str:
    if key != "min_lr" or "init_lr" not in run:
        return ""
    low, high = (_real(run[rate], f"{where}: run.{rate}") for rate in ("min_lr", "init_lr"))
    return " # above max_lr: a slip of MiniGPT-v2's config, since mended to 1.0e-6" if low > high else ""


def _head(raw: Mapping[Any, Any], where: str) -> Iterator[str]:
    run, sets = raw["run"], raw["datasets"]
    within = list(dict.fromkeys(key for given in sets.values() for key in given))
    yield f"# From {_said(where)}, a training config of MiniGPT-4. Weights are its ratios: shares of batches."
    if "sample_ratio" not in next(iter(sets.values())):
        yield "# Its first dataset has no ratio, so all are drawn alike."
    yield "# It holds nothing out (held_out: released); here evaluation splits are held out unless you say so."
    if "text_processor" in within:
        yield "# Its text processor lowers case, strips punctuation and cuts at 50 words: render: {text: released}."
    yield from _lines(f"Without a counterpart here: {', '.join(_unmapped(raw, within)) or 'nothing'}.")
    yield f"stage: {json.dumps(Path(where).stem, ensure_ascii=False)}"
    yield "unit: batch"
    if "seed" in run:
        yield f"seed: {_number(run['seed'], f'{where}: run.seed')}"
    yield ""


def _unmapped(raw: Mapping[Any, Any], within: Sequence[Any]) -> Iterator[str]:
    yield from (_said(key) for key in raw if key not in ("run", "datasets"))
    yield from (f"datasets.*.{_said(key)}" for key in within if key not in ("batch_size", "sample_ratio"))
    yield from (f"run.{_said(key)}" for key in raw["run"] if key not in _RUN)


def _said(key: Any) -> str:
    # A line feed in a key would end the comment that it is told in.
    return str(key) if _PLAIN.fullmatch(str(key)) else json.dumps(str(key))


def _lines(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)]


def _mapping(raw: Mapping[Any, Any], key: Any, where: str) -> Mapping[Any, Any]:
    found = raw.get(key)
    if not isinstance(found, Mapping):
        what = f"found {type(found).__name__}, wanted a mapping" if key in raw else "not there"
        raise ConfigError(f"{where}: {key}: {what}; is it one of MiniGPT-4's train_configs?")
    return found


def _whole(value: Any, place: str) -> int:
    number = _real(value, place)
    if number != int(number) or number < 1:
        raise ConfigError(f"{place}: found {shown(value)}, wanted a whole number of at least 1")
    return int(number)


def _number(value: Any, place: str, least: float = 0.0) -> str:
    """The number as YAML 1.1 reads it again, where an exponent needs a point before it."""
    number = _real(value, place)
    if number < least:
        raise ConfigError(f"{place}: found {number:g}, wanted a number above 0")
    if number == int(number):
        return str(int(number))
    digits, exponent, power = repr(number).partition("e")
    return f"{digits}{'.0' if exponent and '.' not in digits else ''}{exponent}{power}"


def _real(value: Any, place: str) -> float:
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < _MOST else math.nan
    elif isinstance(value, str) and _NUMBER.fullmatch(value):
        number = float(value)
    if not 0 <= number < _MOST:
        raise ConfigError(f"{place}: found {shown(value)}, wanted a number from 0 to below {_MOST:,}")
    return number
