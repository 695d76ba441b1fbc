"""Joined records: one after another, restarting after the picture, and blind to each other."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.joining import IGNORED, PADDING, block_mask, joined, padded

PICTURE = [1, 50, 50, 50]
TURNS = [([7, 8, 9], [IGNORED, 8, 9]), ([5, 6], [IGNORED, 6])]


def test_records_follow_the_picture_and_each_begins_where_it_ends() -> None:
    one = joined(TURNS, PICTURE)
    assert one.ids.tolist() == [1, 50, 50, 50, 7, 8, 9, 5, 6]
    assert one.labels.tolist() == [IGNORED] * 5 + [8, 9, IGNORED, 6]
    assert one.segments.tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2]
    assert one.positions.tolist() == [0, 1, 2, 3, 4, 5, 6, 4, 5]


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="record 2 has 2 ids and 1 labels"):
        joined([([1], [1]), ([1, 2], [1])], PICTURE)


def test_padding_fills_up_the_shorter_ones_and_is_never_learnt() -> None:
    many = padded([joined(TURNS, PICTURE), joined(TURNS[1:], PICTURE)], pad_id=3)
    assert many.ids[1].tolist() == [1, 50, 50, 50, 5, 6, 3, 3, 3]
    assert many.labels[1].tolist() == [IGNORED] * 5 + [6] + [IGNORED] * 3
    assert many.segments[1].tolist() == [0, 0, 0, 0, 1, 1, PADDING, PADDING, PADDING]
    assert many.positions.shape == (2, 9)
    assert [one[0].tolist() for one in many] == [one.tolist() for one in joined(TURNS, PICTURE)]


def seen(segments: list[int], row: int) -> set[int]:
    return {at for at in range(row + 1) if segments[at] in (0, segments[row])}


@given(shape=st.tuples(st.integers(0, 5), st.lists(st.integers(1, 4), max_size=4), st.integers(0, 3)))
def test_a_token_sees_what_came_before_in_its_own_record_and_the_picture(shape: tuple[int, list[int], int]) -> None:
    shared, records, filling = shape
    segments = [0] * shared + [n for n, length in enumerate(records, 1) for _ in range(length)] + [PADDING] * filling
    if segments:
        mask = block_mask(np.array([segments]))[0]
        assert mask.dtype == bool
        assert [set(np.flatnonzero(row).tolist()) for row in mask] == [seen(segments, at) for at in range(len(mask))]


def test_padding_in_front_is_seen_by_nothing_that_counts() -> None:
    segments = np.array([PADDING, PADDING, 0, 0, 1, 1, 2])
    assert not block_mask(segments)[2:, :2].any()


def test_torch_tensors_give_the_same_mask() -> None:
    segments = padded([joined(TURNS, PICTURE), joined(TURNS[:1], PICTURE)], 0).segments
    mask = block_mask(torch.from_numpy(segments))
    assert mask.dtype == torch.bool
    np.testing.assert_array_equal(mask.numpy(), block_mask(segments))


def attended(ids: npt.NDArray[np.int64], positions: npt.NDArray[np.int64], mask: torch.Tensor) -> torch.Tensor:
    """Two layers of attention with one head, on embeddings of ids and positions."""
    table = torch.randn(64, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    states = table[torch.from_numpy(ids)] + 0.3 * table[torch.from_numpy(positions) + 20]
    for _ in range(2):
        states = (
            states
            + torch.nn.functional.scaled_dot_product_attention(
                states[None], states[None], states[None], attn_mask=mask[None]
            )[0]
        )
    return states


def test_each_record_comes_out_as_if_it_stood_alone_after_the_picture() -> None:
    several = joined(TURNS, PICTURE)
    states = attended(several.ids, several.positions, block_mask(torch.from_numpy(several.segments)))
    for number, turn in enumerate(TURNS, 1):
        alone = joined([turn], PICTURE)
        wanted = attended(alone.ids, alone.positions, torch.ones((len(alone.ids),) * 2, dtype=torch.bool).tril())
        torch.testing.assert_close(states[several.segments == number], wanted[len(PICTURE) :])
    causal = torch.ones((len(several.ids),) * 2, dtype=torch.bool).tril()
    leaked = attended(several.ids, several.positions, causal)[several.segments == 2]
    assert not torch.allclose(leaked, states[several.segments == 2])
