import re
from pathlib import Path

import pytest

import converters
from manifests import load, parse
from pipelines.import_mixture import DATASETS, imported
from schemas.errors import ConfigError
from schemas.mixture import Mixture, mixture

# Names, batch sizes and ratios of MiniGPT-4's minigptv2_finetune.yaml, in its order.
STAGE_3 = [
    ("multitask_conversation", 2, 50),
    ("llava_conversation", 2, 30),
    ("unnatural_instruction", 1, 10),
    ("refvg", 6, 40),
    ("llava_detail", 4, 20),
    ("llava_reason", 4, 80),
    ("flickr_grounded_caption", 2, 80),
    ("flickr_CaptionToPhrase", 2, 80),
    ("flickr_ObjectToPhrase", 2, 80),
    ("coco_caption", 6, 10),
    ("textcaps_caption", 6, 30),
    ("refcoco", 6, 25),
    ("refcocop", 6, 25),
    ("refcocog", 6, 25),
    ("invrefcoco", 6, 10),
    ("invrefcocop", 6, 10),
    ("invrefcocog", 6, 10),
    ("coco_vqa", 6, 15),
    ("ok_vqa", 6, 8),
    ("aok_vqa", 6, 12),
    ("gqa", 6, 50),
    ("ocrvqa", 6, 30),
]
STAGE_3_RUN = {
    "lr_sched": '"linear_warmup_cosine_lr"',
    "init_lr": "1e-5",
    "min_lr": "1e-6",
    "warmup_lr": "1e-6",
    "weight_decay": "0.05",
    "max_epoch": "50",
    "warmup_steps": "1000",
    "iters_per_epoch": "1000",
    "seed": "42",
    "amp": "True",
    "device": '"cuda"',
    "world_size": "1",
}
REFCOCO_ALONE = "datasets: {refcoco: {batch_size: 6, sample_ratio: 25}}\n"
SHORT_RUN = "run: {init_lr: 1e-5, max_epoch: 2, iters_per_epoch: 10}\n"


def written(sets: list[tuple[str, int, int]], run: dict[str, str]) -> str:
    """A training config as MiniGPT-4 lays it out."""
    lines = ["model:", "  arch: minigpt_v2", "  lora_r: 64", "datasets:"]
    for name, size, ratio in sets:
        lines += [f"  {name}:", f"    batch_size: {size}"]
        lines += ["    vis_processor:", "      train:", '        name: "blip2_image_train"', "        image_size: 448"]
        lines += [
            "    text_processor:",
            "      train:",
            '        name: "blip_caption"',
            f"    sample_ratio: {ratio}",
            "",
        ]
    return "\n".join([*lines, "run:", *(f"  {key}: {value}" for key, value in run.items())]) + "\n"


def brought(tmp_path: Path, text: str, name: str = "minigptv2_finetune.yaml") -> str:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return imported(str(tmp_path / name))


def read(text: str) -> Mixture:
    return mixture(parse(text, "imported"), "imported")


def test_the_released_third_stage_is_ours(tmp_path: Path) -> None:
    found, ours = read(brought(tmp_path, written(STAGE_3, STAGE_3_RUN))), mixture(load("stage3"), "stage3")
    assert found.parts == ours.parts
    assert (found.unit, found.seed, found.held_out) == (ours.unit, ours.seed, ours.held_out)
    same = {"max_lr", "min_lr", "warmup_lr", "warmup_steps", "weight_decay"}
    assert found.train.model_dump(include=same) == ours.train.model_dump(include=same)
    assert (found.train.steps, found.train.batches) == (50_000, 1)


def test_the_first_stage_of_version_1_is_of_blips_lists(tmp_path: Path) -> None:
    run = STAGE_3_RUN | {"init_lr": "1e-4", "min_lr": "8e-5", "warmup_steps": "5000"}
    run |= {"max_epoch": "4", "iters_per_epoch": "5000", "world_size": "4"}
    found = read(brought(tmp_path, written([("laion", 64, 115), ("cc_sbu", 64, 14)], run)))
    parts = [(entry.source, entry.task, entry.weight, entry.batch_size) for entry in found.parts]
    assert parts == [("blip_laion", "caption", 115, 64), ("blip_ccs", "caption", 14, 64)]
    train = found.train
    assert (train.max_lr, train.min_lr, train.warmup_steps, train.steps) == (1e-4, 8e-5, 5000, 20_000)
    assert train.batches == 4


def test_the_second_stage_of_version_1_says_its_batch_size_for_the_run(tmp_path: Path) -> None:
    run = "run: {init_lr: 3e-5, min_lr: 1e-5, max_epoch: 5, iters_per_epoch: 200, batch_size_train: 12}\n"
    found = read(brought(tmp_path, "datasets: {cc_sbu_align: {vis_processor: {train: {name: x}}}}\n" + run))
    (entry,) = found.parts
    assert (entry.source, entry.task, entry.weight, entry.batch_size) == ("cc_sbu_align", None, 1, 12)
    assert (found.train.max_lr, found.train.steps, found.seed) == (3e-5, 1000, 0)


def test_every_name_of_theirs_is_a_part_that_a_source_gives_for_training() -> None:
    assert len(DATASETS) == len({ours[:2] for ours in DATASETS.values()}) == 25
    for ours in DATASETS.values():
        source = converters.find(ours.source)
        assert source.splits["train"] == "train"
        assert ours.task in {variant.task for variant in source.variants}
    assert set(DATASETS) == {name for name, _, _ in STAGE_3} | {"laion", "cc_sbu", "cc_sbu_align"}
    for named in re.findall(r"minigpt4_\w+", " ".join(ours.note for ours in DATASETS.values())):
        assert converters.find(named)


def test_what_has_no_counterpart_is_told(tmp_path: Path) -> None:
    text = brought(tmp_path, written(STAGE_3, STAGE_3_RUN))
    comments = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("#"))
    left = "model, datasets.*.vis_processor, datasets.*.text_processor, run.lr_sched, run.amp, run.device."
    assert f"Without a counterpart here: {left}" in comments
    assert "render: {text: released}" in comments
    assert "# coco_vqa: " in text and "source minigpt4_multitask" in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_smallest_rate_above_the_largest_is_told_and_kept(tmp_path: Path) -> None:
    text = brought(tmp_path, written(STAGE_3, STAGE_3_RUN | {"min_lr": "8e-5"}))
    assert read(text).train.min_lr == 8e-5
    assert "min_lr: 8.0e-05 # above max_lr" in text
    assert "above max_lr" not in brought(tmp_path, written(STAGE_3, STAGE_3_RUN))


def test_without_a_first_ratio_all_are_drawn_alike_whatever_the_others_say(tmp_path: Path) -> None:
    sets = "datasets: {gqa: {batch_size: 6}, ok_vqa: {batch_size: 4, sample_ratio: 8}}\n"
    text = brought(tmp_path, sets + SHORT_RUN)
    assert [(entry.weight, entry.batch_size) for entry in read(text).parts] == [(1, 6), (1, 4)]
    assert "all are drawn alike" in text


def test_a_later_dataset_without_a_ratio_is_refused(tmp_path: Path) -> None:
    sets = "datasets: {gqa: {batch_size: 6, sample_ratio: 8}, ok_vqa: {batch_size: 4}}\n"
    with pytest.raises(ConfigError, match=r"^minigptv2_finetune\.yaml: datasets\.ok_vqa: no sample_ratio, wanted one "):
        brought(tmp_path, sets + SHORT_RUN)


def test_an_unknown_dataset_offers_near_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown dataset of MiniGPT-4 'ref_coco'; did you mean refcoco"):
        brought(tmp_path, "datasets: {ref_coco: {batch_size: 6, sample_ratio: 25}}\n" + SHORT_RUN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SHORT_RUN, r"datasets: not there; is it one of MiniGPT-4's train_configs\?$"),
        (REFCOCO_ALONE, r"run: not there; is it one"),
        ("datasets: {}\n" + SHORT_RUN, r"datasets: there are none$"),
        ("datasets: [refcoco]\n" + SHORT_RUN, r"datasets: found list, wanted a mapping"),
        ("datasets: {refcoco: }\n" + SHORT_RUN, r"datasets: refcoco: found NoneType, wanted a mapping"),
        (
            "datasets: {refcoco: {sample_ratio: 25}}\n" + SHORT_RUN,
            r"refcoco: no batch_size, nor run\.batch_size_train$",
        ),
        (REFCOCO_ALONE + "run: {max_epoch: 2}\n", r"run\.iters_per_epoch: not there, wanted a whole number$"),
        (REFCOCO_ALONE + "run: {max_epoch: 2.5, iters_per_epoch: 1}\n", r"run\.max_epoch: found 2\.5, wanted a whole "),
        (REFCOCO_ALONE.replace("25", "0") + SHORT_RUN, r"refcoco\.sample_ratio: found 0, wanted a number above 0$"),
        (REFCOCO_ALONE.replace("25", "-1") + SHORT_RUN, r"refcoco\.sample_ratio: found -1, wanted a number from 0 "),
        (REFCOCO_ALONE.replace("25", ".inf") + SHORT_RUN, r"refcoco\.sample_ratio: found inf, wanted a number"),
        (REFCOCO_ALONE.replace("25", ".nan") + SHORT_RUN, r"refcoco\.sample_ratio: found nan, wanted a number"),
        (REFCOCO_ALONE.replace("25", "yes") + SHORT_RUN, r"refcoco\.sample_ratio: found True, wanted a number"),
        (REFCOCO_ALONE.replace("25", "many") + SHORT_RUN, r"refcoco\.sample_ratio: found 'many', wanted a number"),
        (REFCOCO_ALONE.replace("25", "0x" + "f" * 5000) + SHORT_RUN, r"refcoco\.sample_ratio: found "),
        (REFCOCO_ALONE.replace(" 6", " 6.5") + SHORT_RUN, r"refcoco\.batch_size: found 6\.5, wanted a whole number"),
    ],
)
def test_what_is_no_such_config_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^minigptv2_finetune\.yaml: .*{message}") as raised:
        brought(tmp_path, text)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


def test_names_cannot_leave_the_comment_that_tells_them(tmp_path: Path) -> None:
    run = SHORT_RUN.replace("run: {", 'run: {"x\\nparts: []": 1, "y\\u2028held_out: released": 2, ')
    found = read(brought(tmp_path, REFCOCO_ALONE + run, 'odd: "name", \n.yaml'))
    assert [entry.source for entry in found.parts] == ["refcoco"]
    assert found.held_out == "strict"
    assert found.stage == 'odd: "name", \n'


def test_a_tag_of_the_file_runs_nothing(tmp_path: Path) -> None:
    evil = f"model: !!python/object/apply:os.system ['touch {tmp_path}/ran']\n"
    with pytest.raises(ConfigError, match="not YAML"):
        brought(tmp_path, evil + REFCOCO_ALONE + SHORT_RUN)
    assert not (tmp_path / "ran").exists()
