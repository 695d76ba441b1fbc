"""Answers in the model's own words."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipelines.dialogue import Dialogue, answer_text, prompt
from pipelines.model.minigpt import MiniGPT
from pipelines.tokenizer import EOS
from schemas.record import Message


@torch.inference_mode()
def generate(
    model: MiniGPT,
    by: Dialogue,
    pictures: Tensor | None,
    messages: Sequence[Sequence[Message]],
    *,
    image_of: Sequence[int] | None = None,
    max_new_tokens: int = 64,
    rows: int = 16,
) -> list[str]:
    """What the model answers to the last message of each conversation, greedily, at most ``rows`` of them at a time.

    ``pictures`` are uint8 (n, 3, S, S). Each conversation is about the picture of its own place, or about the one that
    ``image_of`` names, -1 for none; without pictures all are text alone. An answer that does not end within
    ``max_new_tokens`` is cut there.
    """
    places = list(image_of) if image_of is not None else [-1 if pictures is None else at for at in range(len(messages))]
    prompts = [prompt(by, one, picture=place >= 0) for one, place in zip(messages, places, strict=True)]
    was = model.training
    model.eval()
    try:
        answers: list[str] = []
        for start in range(0, len(prompts), rows):
            part = slice(start, start + rows)
            answers += _answers(model, by, pictures, prompts[part], places[part], max_new_tokens)
        return answers
    finally:
        model.train(was)


def _answers(
    model: MiniGPT, by: Dialogue, pictures: Tensor | None, prompts: list[list[int]], places: list[int], limit: int
) -> list[str]:
    from transformers import GenerationConfig

    length = max(len(ids) for ids in prompts)
    ids = torch.tensor([[0] * (length - len(row)) + row for row in prompts], device=model.device)
    told = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in prompts], device=model.device)
    needed = sorted({place for place in places if place >= 0})
    image_of = torch.tensor([needed.index(place) if place >= 0 else -1 for place in places], device=model.device)
    config = GenerationConfig(
        do_sample=False, max_new_tokens=limit, eos_token_id=by.tokenizer.token_to_id(EOS), pad_token_id=0
    )
    with model.computing():
        embeddings = model.embed(ids, None if pictures is None else pictures[needed], image_of)
        made = model.llama_model.generate(inputs_embeds=embeddings, attention_mask=told, generation_config=config)
    return [answer_text(by, row) for row in made.tolist()]
