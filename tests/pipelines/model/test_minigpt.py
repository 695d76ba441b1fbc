"""The model: where pictures go, what its losses are, that joined records do not see each other, and its state."""

import math
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from pipelines.dialogue import IGNORED, Dialogue, Encoded, encoded, joined
from pipelines.model.build import build
from pipelines.model.minigpt import MiniGPT, Scores
from pipelines.model.sequences import Sequences, padded
from pipelines.model.sizes import Size
from schemas.errors import ConfigError
from schemas.record import Message

TALKS = [
    ("[refer] where is the star?", "{<12><30><45><88>}"),
    ("[vqa] dog or cat?", "the dog"),
    ("[detection] red hat", "<p>red hat</p> {<1><2><3><4>}<delim>{<5><6><70><80>}"),
]


def made(by: Dialogue, *talks: tuple[str, str], picture: bool = True) -> list[Encoded]:
    turns = [[Message("user", asked), Message("assistant", said)] for asked, said in talks]
    return [encoded(by, each, picture=picture, key="k") for each in turns]


def inputs(rows: Sequences) -> dict[str, Any]:
    return {name: getattr(rows, name) for name in ("ids", "segments", "positions", "image_of")}


def scores(model: MiniGPT, rows: Sequences, pictures: Tensor | None) -> Scores:
    found: Scores = model(**rows._asdict(), pictures=pictures)
    return found


@pytest.fixture
def model(small: Size, words: Tokenizer) -> MiniGPT:
    return build(small, words)[0].eval()


def test_a_joined_sequence_gives_the_logits_of_each_record_alone(
    model: MiniGPT, clean: Dialogue, pictures: Tensor
) -> None:
    alone = made(clean, *TALKS)
    whole = joined(alone)
    found = model.logits(**inputs(padded([whole], [0])), pictures=pictures)[0]
    for place, each in enumerate(alone, 1):
        wanted = model.logits(**inputs(padded([each], [0])), pictures=pictures)[0]
        at = [where for where, segment in enumerate(whole.segments) if segment in (0, place)]
        torch.testing.assert_close(found[at], wanted, rtol=1e-4, atol=1e-5)


def test_without_segments_later_records_would_see_earlier_ones(
    model: MiniGPT, clean: Dialogue, pictures: Tensor
) -> None:
    alone = made(clean, *TALKS)
    leaky = joined(alone)._replace(segments=[1] * len(joined(alone).ids))
    found = model.logits(**inputs(padded([leaky], [0])), pictures=pictures)[0, -4:]
    wanted = model.logits(**inputs(padded([alone[-1]], [0])), pictures=pictures)[0, -4:]
    assert (found - wanted).abs().max() > 1e-3


def test_records_of_text_alone_are_joined_too(model: MiniGPT, clean: Dialogue) -> None:
    alone = made(clean, *TALKS[:2], picture=False)
    found = model.logits(**inputs(padded([joined(alone)], [-1])), pictures=None)[0]
    wanted = [model.logits(**inputs(padded([each], [-1])), pictures=None)[0] for each in alone]
    torch.testing.assert_close(found, torch.cat(wanted), rtol=1e-4, atol=1e-5)


def test_the_loss_of_joined_rows_is_that_of_their_records_one_by_one(
    model: MiniGPT, clean: Dialogue, pictures: Tensor
) -> None:
    alone = made(clean, *TALKS)
    texts = made(clean, TALKS[1], picture=False)
    together = scores(model, padded([joined(alone[:2]), alone[2], *texts], [1, 2, -1]), pictures)
    each = [scores(model, padded([row], [at]), pictures) for row, at in zip(alone, (1, 1, 2), strict=True)]
    each.append(scores(model, padded(texts, [-1]), None))
    for name in ("total", "tokens", "box_total", "box_tokens"):
        assert getattr(together, name).item() == pytest.approx(sum(getattr(one, name).item() for one in each), rel=1e-5)
    assert together.loss.item() == pytest.approx(together.total.item() / together.tokens.item())


def test_loss_and_box_loss_are_those_of_the_labelled_logits(model: MiniGPT, clean: Dialogue, pictures: Tensor) -> None:
    rows = padded(made(clean, *TALKS), [0, 1, 2])
    logits = model.logits(**inputs(rows), pictures=pictures)
    nats = [
        (-logits[row, place].log_softmax(0)[label].item(), bool(rows.boxed[row, place + 1]))
        for row in range(3)
        for place, label in enumerate(rows.labels[row, 1:].tolist())
        if label != IGNORED
    ]
    found = scores(model, rows, pictures)
    assert found.tokens.item() == len(nats) and found.box_tokens.item() == 27 == sum(flag for _, flag in nats)
    assert found.loss.item() == pytest.approx(sum(each for each, _ in nats) / len(nats), rel=1e-5)
    assert found.box_total.item() == pytest.approx(sum(each for each, flag in nats if flag), rel=1e-5)


def test_what_lies_behind_the_end_of_a_row_changes_nothing(model: MiniGPT, clean: Dialogue, pictures: Tensor) -> None:
    short, long = made(clean, TALKS[0], TALKS[2])
    wanted = model.logits(**inputs(padded([short], [0])), pictures=pictures)[0]
    for rows in (padded([short, long], [0, 1]), padded([short, joined([long, long])], [0, 1])):
        found = model.logits(**inputs(rows), pictures=pictures)[0]
        assert not found.isnan().any()
        torch.testing.assert_close(found[: len(short.ids)], wanted, rtol=1e-4, atol=1e-5)


def test_four_neighbours_of_a_row_become_one_token(small: Size, words: Tokenizer) -> None:
    model = build(small, words)[0].eval()
    picture = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    patches: Tensor = model.visual_encoder(
        pixel_values=(picture / 255 - model.mean) / model.deviation
    ).last_hidden_state
    row, place = 3, 1  # fourth row of 8 patches, its second half
    four = patches[0, 1 + row * 8 + place * 4 :][:4].reshape(-1)
    wanted = functional.linear(four, model.llama_proj.weight, model.llama_proj.bias)
    torch.testing.assert_close(model.see(picture)[0, row * 2 + place], wanted)


def test_pictures_are_scaled_to_one_and_normalised_as_clip_does(model: MiniGPT) -> None:
    given: list[Tensor] = []
    model.visual_encoder.register_forward_pre_hook(
        lambda _, __, named: given.append(named["pixel_values"]), with_kwargs=True
    )
    picture = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    model.see(picture)
    wanted = [(0 - 0.48145466) / 0.26862954, (128 / 255 - 0.4578275) / 0.26130258, (1 - 0.40821073) / 0.27577711]
    assert given[0][0, :, 7, 9].tolist() == pytest.approx(wanted, rel=1e-5)


def test_each_row_sees_its_own_picture(model: MiniGPT, clean: Dialogue, pictures: Tensor) -> None:
    (row,) = made(clean, TALKS[0])
    (text,) = made(clean, TALKS[0], picture=False)
    found = model.logits(**inputs(padded([row, text, row], [2, -1, 0])), pictures=pictures)
    for at, own in ((0, pictures[2:]), (2, pictures[:1])):
        wanted = model.logits(**inputs(padded([row], [0])), pictures=own)[0]
        torch.testing.assert_close(found[at], wanted, rtol=1e-4, atol=1e-5)
    assert (found[0] - found[2]).abs().max() > 1e-3


def test_places_that_are_not_a_pictures_are_refused(model: MiniGPT, clean: Dialogue, pictures: Tensor) -> None:
    rows = made(clean, TALKS[0])
    with pytest.raises(ConfigError, match=r"picture places: \[16\] in the rows, wanted \[0\]"):
        scores(model, padded(rows, [-1]), pictures)
    with pytest.raises(ConfigError, match=r"picture places: \[5\] in the rows, wanted \[16\]"):
        scores(model, padded(made(clean._replace(picture_tokens=5), TALKS[0]), [0]), pictures)
    for wrong in (pictures.float(), pictures[:, :, :8]):
        with pytest.raises(ConfigError, match=r"pictures: .*, wanted torch.uint8 \(n, 3, 16, 16\)"):
            scores(model, padded(rows, [0]), wrong)


@pytest.mark.parametrize("which", ["small", "adapted"])
def test_gradients_reach_all_that_is_trained_and_nothing_else(
    which: str, request: pytest.FixtureRequest, words: Tokenizer, clean: Dialogue, pictures: Tensor
) -> None:
    model = build(request.getfixturevalue(which), words)[0]
    frozen = {name: each.clone() for name, each in model.named_parameters() if not each.requires_grad}
    rows = padded([*made(clean, *TALKS)], [0, 1, 2])
    optimiser = torch.optim.AdamW(model.trained().values(), lr=1e-2)
    for _ in range(2):  # LoRA's A learns nothing before its B is no longer zero
        optimiser.zero_grad()
        scores(model, rows, pictures).loss.backward()
        optimiser.step()
    idle = [name for name, each in model.trained().items() if each.grad is None or not each.grad.any()]
    assert idle == []
    assert bool(frozen) == (which == "adapted")
    now = dict(model.named_parameters())
    assert all(torch.equal(now[name], each) and now[name].grad is None for name, each in frozen.items())


@pytest.mark.parametrize("which", ["small", "adapted"])
def test_computing_activations_again_gives_the_same_gradients_in_fewer_kept_bytes(
    which: str, request: pytest.FixtureRequest, words: Tokenizer, clean: Dialogue, pictures: Tensor
) -> None:
    found: list[tuple[dict[str, Tensor | None], int]] = []
    for on in (False, True):
        model = build(request.getfixturevalue(which), words)[0].train()
        if on:
            model.checkpoint_activations()
        kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda one, kept=kept: (kept.append(one.nbytes), one)[1], lambda one: one
        ):
            loss = scores(model, padded(made(clean, *TALKS), [0, 1, 2]), pictures).loss
        held = sum(kept)
        loss.backward()
        found.append(({name: each.grad for name, each in model.trained().items()}, held))
    (plain, much), (again, little) = found
    assert little < 0.7 * much
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient)


def test_bf16_keeps_what_is_frozen_narrow_and_what_is_trained_wide(
    adapted: Size, words: Tokenizer, clean: Dialogue, pictures: Tensor
) -> None:
    wide = build(adapted, words)[0]
    narrow = build(adapted, words, precision=torch.bfloat16)[0]
    assert {each.dtype for each in narrow.trained().values()} == {torch.float32}
    assert narrow.visual_encoder.encoder.layers[0].mlp.fc1.weight.dtype == torch.bfloat16
    assert narrow.llama_model.model.layers[0].self_attn.q_proj.base_layer.weight.dtype == torch.bfloat16
    assert narrow.visual_encoder.encoder.layers[0].layer_norm1.weight.dtype == torch.float32
    rows = padded([joined(made(clean, *TALKS[:2])), *made(clean, TALKS[2])], [0, 1])
    found, wanted = (scores(each, rows, pictures) for each in (narrow, wide))
    assert found.loss.dtype == torch.float32
    assert found.loss.item() == pytest.approx(wanted.loss.item(), rel=0.02) and found.loss != wanted.loss
    found.loss.backward()
    assert all(each.grad is not None for each in narrow.trained().values())


@pytest.mark.parametrize("which", ["small", "adapted"])
def test_a_state_holds_what_is_trained_and_comes_back_bit_for_bit(
    which: str, request: pytest.FixtureRequest, words: Tokenizer, clean: Dialogue, pictures: Tensor
) -> None:
    size = request.getfixturevalue(which)
    one, two = (build(size, words, seed=0)[0] for _ in range(2))
    with torch.no_grad():
        for each in one.trained().values():
            each.add_(torch.randn_like(each) * 0.1)
    state = one.state()
    assert state.keys() == one.trained().keys()
    two.restore(state)
    assert all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())
    rows = padded(made(clean, *TALKS), [0, 1, 2])
    assert torch.equal(scores(one, rows, pictures).loss, scores(two, rows, pictures).loss)
    with torch.no_grad():
        one.llama_proj.bias.add_(1)
    assert torch.equal(state["llama_proj.bias"], two.llama_proj.bias), "a state is a copy"


def test_a_state_of_another_model_is_refused(small: Size, adapted: Size, words: Tokenizer) -> None:
    model = build(adapted, words)[0]
    state = model.state()
    with pytest.raises(ConfigError, match=r"names differ from the model's trained ones, such as llama_model\."):
        model.restore(build(small, words)[0].state())
    state["llama_proj.bias"] = state["llama_proj.bias"][:-1]
    before = model.state()
    with pytest.raises(
        ConfigError, match=r"llama_proj.bias is \(\(23,\), torch.float32\), wanted \(\(24,\), torch.float32\)"
    ):
        model.restore(state)
    assert all(torch.equal(each, before[name]) for name, each in model.state().items()), "nothing is put back by halves"


def test_an_untrained_model_loses_about_the_logarithm_of_its_vocabulary(
    clean: Dialogue, small: Size, words: Tokenizer, pictures: Tensor
) -> None:
    plain = small._replace(start=small.start._replace(deviation=0.02, smooth_numbers=False))
    loss = scores(build(plain, words)[0], padded(made(clean, *TALKS), [0, 1, 2]), pictures).loss
    assert loss.item() == pytest.approx(math.log(words.get_vocab_size()), rel=0.05)
