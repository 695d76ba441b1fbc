"""The model itself: pictures and token ids in, losses out.

A picture goes through the vision tower; CLS is dropped, every ``join`` patches that follow each other in a row are laid
end to end and mapped to the language model's width by one linear layer, and fill the places of the picture in the
sequence. The parts are called what the released checkpoints call them.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.dialogue import IGNORED, PICTURE
from pipelines.model.sequences import seen
from pipelines.model.sizes import Size
from schemas.errors import ConfigError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of red, green, blue between 0 and 1
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class Scores(NamedTuple):
    """What a batch lost: the mean over its trained tokens, and sums and counts over all and over box tokens."""

    loss: Tensor
    total: Tensor
    tokens: Tensor
    box_total: Tensor
    box_tokens: Tensor


class MiniGPT(nn.Module):
    """Vision tower, linear layer and language model of one size; ``precision`` is what is computed in."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, size: Size, visual_encoder: Any, llama_proj: nn.Linear, llama_model: Any, precision: torch.dtype
    ) -> None:
        super().__init__()
        self.size = size
        self.precision = precision
        self.visual_encoder = visual_encoder
        self.llama_proj = llama_proj
        self.llama_model = llama_model
        self.register_buffer("mean", torch.tensor(CLIP_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(CLIP_DEVIATION).view(1, 3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.llama_proj.weight.device

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that training changes, by name."""
        return {name: each for name, each in self.named_parameters() if each.requires_grad}

    def state(self) -> dict[str, Tensor]:
        """A copy of all that training changes, on the CPU: what a checkpoint has to hold."""
        return {name: each.detach().to("cpu", copy=True) for name, each in self.trained().items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Put back what ``state`` gave, bit for bit; ConfigError where names or shapes are not this model's."""
        own = self.trained()
        if state.keys() != own.keys():
            differ = sorted(state.keys() ^ own.keys())
            raise ConfigError(
                f"checkpoint: {len(differ)} names differ from the model's trained ones, such as {differ[0]}"
            )
        for name, each in own.items():
            if state[name].shape != each.shape or state[name].dtype != each.dtype:
                found, wanted = ((tuple(one.shape), one.dtype) for one in (state[name], each))
                raise ConfigError(f"checkpoint: {name} is {found}, wanted {wanted}")
        with torch.no_grad():
            for name, each in own.items():
                each.copy_(state[name])

    def checkpoint_activations(self) -> None:
        """Compute activations again in the backward pass instead of keeping them: slower, far less memory."""
        for part in (self.visual_encoder, self.llama_model):
            part.activation_checkpointing_enable()

    def see(self, pictures: Tensor) -> Tensor:
        """The embeddings (n, picture tokens, hidden) of whole pictures, uint8 (n, 3, S, S) red, green, blue."""
        side = self.size.tower.image
        if pictures.dtype != torch.uint8 or tuple(pictures.shape[1:]) != (3, side, side):
            found = f"{pictures.dtype} {tuple(pictures.shape)}"
            raise ConfigError(f"pictures: {found}, wanted torch.uint8 (n, 3, {side}, {side})")
        values = (pictures.to(self.device, non_blocking=True).float() / 255 - self.mean) / self.deviation
        patches = self.visual_encoder(pixel_values=values).last_hidden_state[:, 1:]
        count, _, width = patches.shape
        embeddings: Tensor = self.llama_proj(patches.reshape(count, -1, self.size.join * width))
        return embeddings

    def embed(self, ids: Tensor, pictures: Tensor | None, image_of: Tensor) -> Tensor:
        """The embeddings (rows, length, hidden) of the ids, those of each row's picture in their places."""
        places = ids == PICTURE
        wanted = (image_of >= 0) * self.size.picture_tokens
        if not torch.equal(places.sum(1), wanted):
            raise ConfigError(f"picture places: {places.sum(1).tolist()} in the rows, wanted {wanted.tolist()}")
        embeddings: Tensor = self.llama_model.model.embed_tokens(ids.clamp(min=0))
        if pictures is None or not len(pictures):
            return embeddings
        rows = self.see(pictures)[image_of[image_of >= 0]].to(embeddings.dtype)
        return embeddings.masked_scatter(places[..., None], rows)

    def hidden(
        self,
        ids: Tensor,
        segments: Tensor | None,
        positions: Tensor | None,
        pictures: Tensor | None,
        image_of: Tensor,
    ) -> Tensor:
        """What the language model makes of each place (rows, length, hidden), before its last layer."""
        made: Tensor = self.llama_model.model(
            inputs_embeds=self.embed(ids, pictures, image_of),
            attention_mask=None if segments is None else seen(segments),
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        return made

    def logits(
        self,
        ids: Tensor,
        segments: Tensor | None,
        positions: Tensor | None,
        pictures: Tensor | None,
        image_of: Tensor,
    ) -> Tensor:
        """The logits of each place's next token (rows, length, vocabulary), float32."""
        with self.computing():
            made = self.hidden(ids, segments, positions, pictures, image_of)
            logits: Tensor = self.llama_model.lm_head(made)
        return logits.float()

    def forward(
        self,
        ids: Tensor,
        labels: Tensor,
        segments: Tensor | None,
        positions: Tensor | None,
        pictures: Tensor | None,
        image_of: Tensor,
        boxed: Tensor | None = None,
    ) -> Scores:
        """What the model loses on the labels; logits are made only where there is one. Shapes as in ``Sequences``."""
        wanted = labels[:, 1:]
        kept = wanted != IGNORED
        with self.computing():
            made = self.hidden(ids, segments, positions, pictures, image_of)
            logits = self.llama_model.lm_head(made[:, :-1][kept])
        losses = functional.cross_entropy(logits.float(), wanted[kept], reduction="none")
        in_box = torch.zeros_like(losses, dtype=torch.bool) if boxed is None else boxed[:, 1:][kept]
        total = losses.sum()
        return Scores(total / len(losses), total, kept.sum(), (losses * in_box).sum(), in_box.sum())

    def computing(self) -> torch.autocast:
        """The precision that everything is computed in, to be entered."""
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)
