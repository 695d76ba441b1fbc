"""Answers: what was learned by heart comes back, alone or beside others, about the right picture, and as text."""

from collections.abc import Sequence

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor

from pipelines.dialogue import Dialogue, encoded, joined, prompt
from pipelines.model.build import build
from pipelines.model.generate import generate
from pipelines.model.minigpt import MiniGPT
from pipelines.model.sequences import padded
from pipelines.model.sizes import Size
from schemas.errors import TextError
from schemas.record import Message

BOXES = ["{<12><30><45><88>}", "{<0><100><7><64>}", "{<50><51><52><53>}"]
DOGS = [f"<p>dog</p> {box}<delim>{BOXES[0]}" for box in BOXES[::-1]]
CHAT = {"[vqa] what is a star?": "red", "[vqa] what is a large red hat, or dog, or cat?": "a large red hat"}

Learned = tuple[MiniGPT, list[float]]


def asking(text: str) -> list[Message]:
    return [Message("user", text)]


def saying(text: str, answer: str) -> list[Message]:
    return [*asking(text), Message("assistant", answer)]


def learn(model: MiniGPT, by: Dialogue, pictures: Tensor, steps: int) -> list[float]:
    """Its losses while it learns a star and dogs in each picture, joined, and two things about no picture."""
    rows = []
    for box, dogs in zip(BOXES, DOGS, strict=True):
        both = [saying("[refer] the star", box), saying("[detection] dog", dogs)]
        rows.append(joined([encoded(by, each, picture=True, key="k") for each in both]))
    rows += [encoded(by, saying(*each), picture=False, key="k") for each in CHAT.items()]
    ready = padded(rows, [0, 1, 2, -1, -1])
    optimiser = torch.optim.AdamW(model.trained().values(), lr=1e-2, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = model(**ready._asdict(), pictures=pictures).loss
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(scope="module")
def learned(small: Size, words: Tokenizer, clean: Dialogue, pictures: Tensor) -> Learned:
    """The small model after 120 steps on five rows, and its losses."""
    model = build(small, words)[0]
    return model, learn(model, clean, pictures, 120)


def test_a_few_samples_are_learned_by_heart(learned: Learned) -> None:
    _, losses = learned
    assert losses[0] > 3 and losses[-1] < 0.01


def test_boxes_learned_by_heart_come_back_each_for_its_picture(
    learned: Learned, clean: Dialogue, pictures: Tensor
) -> None:
    model, _ = learned
    assert generate(model, clean, pictures, [asking("[refer] the star")] * 3) == BOXES
    assert generate(model, clean, pictures, [asking("[detection] dog")] * 3) == DOGS
    assert generate(model, clean, pictures.flip(0), [asking("[refer] the star")] * 3) == BOXES[::-1]


def test_answers_side_by_side_are_those_given_alone(learned: Learned, clean: Dialogue, pictures: Tensor) -> None:
    model, _ = learned
    asked = [asking("[refer] the star"), *map(asking, CHAT), asking("[detection] dog"), asking("[caption] cat or dog?")]
    asked.append([*saying("[refer] the star", BOXES[1]), *asking("[detection] dog")])
    about = [2, -1, -1, 0, 1, 1]
    assert len({len(prompt(clean, one, picture=at >= 0)) for one, at in zip(asked, about, strict=True)}) > 4
    alone = [generate(model, clean, pictures, [one], image_of=[at])[0] for one, at in zip(asked, about, strict=True)]
    assert alone[:4] == [BOXES[2], *CHAT.values(), DOGS[0]]
    for rows in (2, 4, 6):
        assert generate(model, clean, pictures, asked, image_of=about, rows=rows) == alone


def test_an_untrained_model_says_the_same_alone_and_beside_others(
    small: Size, words: Tokenizer, clean: Dialogue, pictures: Tensor
) -> None:
    model = build(small, words, seed=4)[0]
    asked = [asking(" ".join(["star"] * count)) for count in (1, 9, 4, 17)]
    about = [0, -1, 1, 2]
    together = generate(model, clean, pictures, asked, image_of=about, max_new_tokens=12)
    alone = [
        generate(model, clean, pictures, [one], image_of=[at], max_new_tokens=12)[0]
        for one, at in zip(asked, about, strict=True)
    ]
    assert together == alone and len(set(together)) == 4 and all(together)


def greedy(model: MiniGPT, by: Dialogue, messages: Sequence[Message], picture: Tensor, limit: int) -> str:
    """The same by whole forward passes, a token at a time, nothing kept between them."""
    ids = prompt(by, messages, picture=True)
    start = len(ids)
    while len(ids) < start + limit and by.tokenizer.token_to_id("</s>") not in ids[start:]:
        logits = model.logits(torch.tensor([ids]), None, None, picture[None], torch.tensor([0]))
        ids.append(int(logits[0, -1].argmax()))
    return str(by.tokenizer.decode([id_ for id_ in ids[start:] if id_ != 2])).strip()


def test_kept_keys_and_values_change_no_token(small: Size, words: Tokenizer, clean: Dialogue, pictures: Tensor) -> None:
    model = build(small, words, seed=4)[0].eval()
    for text in ("star", "[refer] the large red hat"):
        with torch.inference_mode():
            wanted = greedy(model, clean, asking(text), pictures[1], 10)
        assert generate(model, clean, pictures[1:2], [asking(text)], max_new_tokens=10) == [wanted]


def test_answers_in_bf16_are_the_same_where_the_model_is_sure(
    learned: Learned, small: Size, words: Tokenizer, clean: Dialogue, pictures: Tensor
) -> None:
    model = build(small, words, precision=torch.bfloat16)[0]
    model.restore(learned[0].state())
    assert generate(model, clean, pictures, [asking("[refer] the star")] * 3) == BOXES


def test_a_frozen_model_in_bf16_answers_by_nearly_the_logits_that_float32_has(
    adapted: Size, words: Tokenizer, clean: Dialogue, pictures: Tensor
) -> None:
    narrow, wide = (build(adapted, words, precision=each)[0].eval() for each in (torch.bfloat16, torch.float32))
    for picture, text in zip(pictures, ["[refer] the star", "[vqa] what is the large red hat?", "cat"], strict=True):
        ids = torch.tensor([prompt(clean, asking(text), picture=True)])
        told, wanted = (
            each.logits(ids, None, None, picture[None], torch.tensor([0]))[0, -1] for each in (narrow, wide)
        )
        assert torch.cosine_similarity(told, wanted, dim=0) > 0.99
        said = clean.tokenizer.decode([int(told.argmax())], skip_special_tokens=True).strip()
        assert generate(narrow, clean, picture[None], [asking(text)], max_new_tokens=1) == [said]


def test_text_alone_is_answered_without_pictures(learned: Learned, clean: Dialogue) -> None:
    model, _ = learned
    assert generate(model, clean, None, [asking(text) for text in CHAT]) == list(CHAT.values())


def test_an_answer_is_cut_at_the_limit_and_the_model_goes_on_training(
    learned: Learned, clean: Dialogue, pictures: Tensor
) -> None:
    model, _ = learned
    model.train()
    assert generate(model, clean, pictures[:1], [asking("[refer] the star")], max_new_tokens=4) == ["{<12><30"]
    assert model.training


def test_what_asks_nothing_is_refused(learned: Learned, clean: Dialogue, pictures: Tensor) -> None:
    with pytest.raises(TextError, match="the user last"):
        generate(learned[0], clean, pictures[:1], [saying("[refer] the star", BOXES[0])])


def test_lora_and_the_linear_layer_alone_lower_the_loss_of_a_frozen_random_model(
    adapted: Size, words: Tokenizer, clean: Dialogue, pictures: Tensor
) -> None:
    losses = learn(build(adapted, words)[0], clean, pictures, 30)
    assert losses[-1] < 0.95 * losses[0]
