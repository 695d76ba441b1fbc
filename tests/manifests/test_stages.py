from collections import Counter, defaultdict

import pytest

import converters
from manifests import load
from schemas.errors import ConfigError
from schemas.ledger import Part
from schemas.mixture import Mixture, PartEntry, mixture

STAGES = ("stage1", "stage2", "stage3", "stage3_sample")

# The paper's table of datasets by type of data, in the names of their sources.
WEAK: set[tuple[str, str | None]] = {
    *((source, "caption") for source in ("laion", "cc3m", "sbu")),
    *(("grit", task) for task in ("refer", "identify", "grounding")),
}
REFCOCO = ("refcoco", "refcocoplus", "refcocog")
FINE: set[tuple[str, str | None]] = {
    *((source, "caption") for source in ("coco_caption", "textcaps")),
    *((source, "refer") for source in (*REFCOCO, "vg")),
    *((source, "identify") for source in REFCOCO),
    *((source, "vqa") for source in ("gqa", "vqav2", "ocrvqa", "okvqa", "aokvqa")),
}
CHATS: set[tuple[str, str | None]] = {
    *((source, None) for source in ("llava_conversation", "llava_detail", "llava_reason", "multitask", "unnatural")),
    *((f"flickr30k_{use}", task) for use, task in (("grounded", "grounding"), ("parsing", "detection"))),
    ("flickr30k_phrase", "detection"),
}
TABLE: dict[str, set[tuple[str, str | None]]] = {
    "stage1": WEAK | FINE,
    "stage2": FINE,
    "stage3": FINE | CHATS,
    "stage3_sample": FINE | CHATS,
}

# minigptv2_finetune.yaml, in its own names: batch size and ratio.
RELEASED = """
multitask_conversation 2 50    llava_conversation 2 30       unnatural_instruction 1 10   refvg 6 40
llava_detail 4 20              llava_reason 4 80             coco_caption 6 10            textcaps_caption 6 30
flickr_grounded_caption 2 80   flickr_CaptionToPhrase 2 80   flickr_ObjectToPhrase 2 80
refcoco 6 25                   refcocop 6 25                 refcocog 6 25
invrefcoco 6 10                invrefcocop 6 10              invrefcocog 6 10
coco_vqa 6 15                  ok_vqa 6 8                    aok_vqa 6 12                 gqa 6 50   ocrvqa 6 30
"""
OURS: dict[str, tuple[str, str | None]] = {
    "multitask_conversation": ("multitask", None),
    "llava_conversation": ("llava_conversation", None),
    "llava_detail": ("llava_detail", None),
    "llava_reason": ("llava_reason", None),
    "unnatural_instruction": ("unnatural", None),
    "refvg": ("vg", "refer"),
    "coco_caption": ("coco_caption", "caption"),
    "textcaps_caption": ("textcaps", "caption"),
    "flickr_grounded_caption": ("flickr30k_grounded", "grounding"),
    "flickr_CaptionToPhrase": ("flickr30k_parsing", "detection"),
    "flickr_ObjectToPhrase": ("flickr30k_phrase", "detection"),
    "refcoco": ("refcoco", "refer"),
    "refcocop": ("refcocoplus", "refer"),
    "refcocog": ("refcocog", "refer"),
    "invrefcoco": ("refcoco", "identify"),
    "invrefcocop": ("refcocoplus", "identify"),
    "invrefcocog": ("refcocog", "identify"),
    "coco_vqa": ("vqav2", "vqa"),
    "ok_vqa": ("okvqa", "vqa"),
    "aok_vqa": ("aokvqa", "vqa"),
    "gqa": ("gqa", "vqa"),
    "ocrvqa": ("ocrvqa", "vqa"),
}


def stage(name: str) -> Mixture:
    return mixture(load(name), name)


def released() -> dict[tuple[str, str | None], tuple[int, int]]:
    """Ratio and batch size of each part that the released file has."""
    words = RELEASED.split()
    return {OURS[words[at]]: (int(words[at + 2]), int(words[at + 1])) for at in range(0, len(words), 3)}


def slices(parts: list[PartEntry]) -> list[tuple[str, str | None]]:
    return [(entry.source, entry.task) for entry in parts]


def weights(name: str) -> dict[tuple[str, str | None], float]:
    return {(entry.source, entry.task): entry.weight or 0 for entry in stage(name).parts}


def test_an_unknown_stage_offers_ours() -> None:
    with pytest.raises(ConfigError, match=r"unknown manifest 'stage4'; did you mean stage3 or stage2 or stage1"):
        load("stage4")


@pytest.mark.parametrize("name", STAGES)
def test_every_part_of_a_stage_is_one_that_a_source_gives_for_training(name: str) -> None:
    for entry in stage(name).parts:
        source = converters.find(entry.source)
        assert source.splits.get(entry.split) == "train", entry.part
        assert entry.task in {variant.task for variant in source.variants}, entry.part
        assert entry.part == Part(entry.source, "train", entry.task)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_has_the_datasets_of_the_papers_table_and_no_others(name: str) -> None:
    found = slices(stage(name).parts)
    assert set(found) == TABLE[name]
    assert len(found) == len(TABLE[name])


def test_the_stages_take_the_papers_steps_batches_and_learning_rates() -> None:
    trains = {name: stage(name).train for name in STAGES}
    stated = {name: (train.steps, train.global_batch, train.max_lr) for name, train in trains.items()}
    assert stated == {
        "stage1": (400_000, 96, 1e-4),
        "stage2": (50_000, 64, 1e-5),
        "stage3": (35_000, None, 1e-5),
        "stage3_sample": (35_000, 24, 1e-5),
    }
    for train in trains.values():
        assert train.max_lr and train.min_lr and train.warmup_lr and train.min_lr < train.max_lr
    assert trains["stage3"].batches == 4
    assert trains["stage3"].min_lr == trains["stage3"].warmup_lr == 1e-6
    assert (trains["stage3"].warmup_steps, trains["stage3"].weight_decay) == (1000, 0.05)


def test_stage_3_has_the_released_ratios_and_batch_sizes() -> None:
    parts = stage("stage3").parts
    assert stage("stage3").unit == "batch"
    assert {(entry.source, entry.task): (entry.weight, entry.batch_size) for entry in parts} == released()
    assert sum(entry.weight or 0 for entry in parts) == 730


def test_stage_3_gives_3_904_samples_a_batch() -> None:
    parts = stage("stage3").parts
    mean = sum((entry.weight or 0) * (entry.batch_size or 0) for entry in parts) / 730
    assert round(mean, 3) == 3.904
    assert round(mean * (stage("stage3").train.batches or 0), 1) == 15.6


def test_stage_3_in_samples_has_the_same_share_of_samples_for_each_part() -> None:
    assert stage("stage3_sample").unit == "sample"
    by_batch = {part: ratio * size for part, (ratio, size) in released().items()}
    by_sample = weights("stage3_sample")
    assert by_sample.keys() == by_batch.keys()
    for part, weight in by_sample.items():
        share = by_batch[part] / sum(by_batch.values())
        assert abs(weight / sum(by_sample.values()) - share) < 1e-9, part


def test_weak_data_is_nine_tenths_of_stage_1_and_the_rest_is_in_stage_2s_proportions() -> None:
    first, second = weights("stage1"), weights("stage2")
    assert sum(first[part] for part in WEAK) == 0.9 * sum(first.values())
    assert {part: first[part] for part in FINE} == second


def test_in_stage_2_tasks_and_their_datasets_go_with_the_square_root_of_their_records() -> None:
    given = weights("stage2")
    records = {(source, task): published(source) for source, task in FINE}
    roots: dict[str | None, float] = defaultdict(float)
    totals = Counter[str | None]()
    for (_, task), count in records.items():
        roots[task] += count**0.5
        totals[task] += count
    whole = sum(total**0.5 for total in totals.values())
    for (source, task), count in records.items():
        wanted = 1000 * totals[task] ** 0.5 / whole * count**0.5 / roots[task]
        assert abs(given[source, task] - wanted) < 1, (source, task, wanted)
    assert sum(given.values()) == 1000


def published(source: str) -> int:
    """How many training records a source has as published, of each task that counts them."""
    counts = {form.counts["train"] for form in converters.find(source).forms if "train" in form.counts}
    about = {"ocrvqa": 800_000}  # its files state no number of questions by split
    return min(counts, default=about.get(source, 0))


@pytest.mark.parametrize("name", STAGES)
def test_no_weight_is_out_of_reach_of_exact_dealing(name: str) -> None:
    given = weights(name).values()
    assert all(weight == int(weight) for weight in given)
    assert sum(given) <= 16_384
