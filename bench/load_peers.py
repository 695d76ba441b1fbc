"""The loaders of bench/load.py, each in a process of its own: ``python load_peers.py NAME FOLDER WORKERS``.

``FOLDER`` holds the same pictures in every layout: ``coco/`` loose with annotations, ``pool/`` and ``bench.lock.json``,
``mds/``. Each line on the standard input is a number of samples to be loaded; each answer is one of JSON. The first one
tells versions, once the pixels of the first batch lie in ``FOLDER/NAME.npy`` as (samples, 448, 448, 3) uint8.

What is not Boxcar's does what torchvision's Resize, ToTensor and Normalize do, line by line, as MiniGPT-4 uses them.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

SIDE, BATCH = 448, 16
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(-1, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(-1, 1, 1)

Batches = Iterator[torch.Tensor]


def resized(image: Image.Image) -> Image.Image:
    return image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def whole(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(resized(image), np.uint8)).permute(2, 0, 1).contiguous()


def normalised(image: Image.Image) -> torch.Tensor:
    return whole(image).to(torch.float32).div(255).clone().sub_(MEAN).div_(STD)


def _working(workers: int) -> dict[str, Any]:
    # Workers that live from one epoch to the next: what others have used is lost to the count.
    return {"num_workers": workers, "persistent_workers": workers > 0}


class Loose(torch.utils.data.Dataset[Any]):
    """MiniGPT-4's: a list of annotations, a file and a random template each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "coco" / "train2014"
        self.rows = json.loads((folder / "coco" / "annotations" / "captions_train2014.json").read_bytes())[
            "annotations"
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict[str, Any]:
        row = self.rows[at]
        image = Image.open(self.folder / f"COCO_train2014_{row['image_id']:012d}.jpg").convert("RGB")
        return {"image": normalised(image), "instruction_input": "[caption] say it", "answer": row["caption"].lower()}


def minigpt4(folder: Path, workers: int) -> Batches:
    loader = torch.utils.data.DataLoader(Loose(folder), BATCH, shuffle=True, **_working(workers))
    return (batch["image"] for _ in count() for batch in loader)


def _captioned(sample: dict[str, Any]) -> tuple[torch.Tensor, str]:
    return normalised(sample["jpg"]), sample["json"]["records"][0]["messages"][1]["content"]


def webdataset(folder: Path, workers: int) -> Batches:
    import webdataset as wds

    tars = sorted(map(str, (folder / "pool").glob("*.tar")))
    read = wds.WebDataset(tars, resampled=True, shardshuffle=False).shuffle(200).decode("pilrgb").map(_captioned)
    loader = wds.WebLoader(read.batched(BATCH), batch_size=None, num_workers=workers)
    return (batch[0] for batch in loader)


def energon(folder: Path, workers: int, to_tensor: Callable[[Image.Image], torch.Tensor]) -> Batches:
    import megatron.energon as energy

    @dataclass
    class Shown(energy.Sample):
        image: torch.Tensor
        text: str

    @energy.stateless
    def cook(sample: dict[str, Any]) -> Shown:
        said = sample["json"]["records"][0]["messages"][1]["content"]
        return Shown(**energy.basic_sample_keys(sample), image=to_tensor(sample["jpg"]), text=said)

    class Encoder(energy.DefaultTaskEncoder):  # type: ignore[misc,valid-type]
        cookers = [energy.Cooker(cook)]  # noqa: RUF012
        decoder = energy.SampleDecoder(image_decode="pilrgb")

        @energy.stateless
        def batch(self, samples: list[Shown]) -> torch.Tensor:
            return torch.stack([sample.image for sample in samples])

    config = energy.WorkerConfig(rank=0, world_size=1, num_workers=workers)
    data = energy.get_train_dataset(str(folder / "pool"), batch_size=BATCH, shuffle_buffer_size=200,
                             max_samples_per_sequence=100, task_encoder=Encoder(), worker_config=config)  # fmt: skip
    return iter(energy.get_loader(data))


def mosaic(folder: Path, workers: int) -> Batches:
    from streaming import MDSWriter, StreamingDataset

    place = folder / "mds"
    if not place.exists():
        with MDSWriter(out=str(place), columns={"jpg": "bytes", "caption": "str"}) as out:
            for path in sorted((folder / "coco" / "train2014").iterdir()):
                out.write({"jpg": path.read_bytes(), "caption": "as it is"})

    class Streamed(StreamingDataset):  # type: ignore[misc,valid-type]
        def __getitem__(self, at: int) -> Any:
            sample = super().__getitem__(at)
            return normalised(Image.open(io.BytesIO(sample["jpg"])).convert("RGB")), sample["caption"]

    loader = torch.utils.data.DataLoader(
        Streamed(local=str(place), shuffle=True, batch_size=BATCH), BATCH, **_working(workers)
    )
    return (batch[0] for _ in count() for batch in loader)


def ours(folder: Path, workers: int) -> Batches:
    from pipelines.load import loader

    return (batch.images for batch in loader(folder / "bench.lock.json", workers=workers))


LOADERS: dict[str, tuple[Callable[[Path, int], Batches], tuple[str, ...]]] = {
    "ours": (ours, ("torch", "simplejpeg")),
    "minigpt4": (minigpt4, ("torch", "pillow")),
    "webdataset": (webdataset, ("webdataset", "torch", "pillow")),
    "energon": (lambda *said: energon(*said, normalised), ("megatron-energon", "torch", "pillow")),
    "energon-uint8": (lambda *said: energon(*said, whole), ("megatron-energon", "torch", "pillow")),
    "mosaic": (mosaic, ("mosaicml-streaming", "torch", "pillow")),
}


def pixels(batch: torch.Tensor) -> np.ndarray[Any, Any]:
    plain = batch if batch.dtype == torch.uint8 else (batch * STD + MEAN).mul(255).round().clamp(0, 255).to(torch.uint8)
    return plain.permute(0, 2, 3, 1).numpy()


def cpu() -> float:
    """Seconds of CPU of this process and of its children that live."""
    used, ticks = time.process_time(), 100.0
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            fields = Path("/proc", child, "stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / ticks
    return used


def main() -> None:
    name, folder, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    make, needed = LOADERS[name]
    batches = make(folder, workers)
    np.save(folder / f"{name}.npy", pixels(next(batches)))
    print(json.dumps([f"{one} {version(one)}" for one in needed]), flush=True)
    used = cpu()
    for line in sys.stdin:
        began, loaded = time.perf_counter(), 0
        while loaded < int(line):
            loaded += len(next(batches))
        wall, before = time.perf_counter() - began, used
        used = cpu()  # of what workers had made ready meanwhile, too: each round pays for one of its length
        print(json.dumps({"samples": loaded, "cpu": used - before, "wall": wall}), flush=True)


if __name__ == "__main__":
    main()
