"""What a run found out about itself, as JSON beside its log: the verdict is read from it, and so is any table."""

from pathlib import Path
from typing import Any

import msgspec

from pipelines.evaluation.geometry import Geometry
from pipelines.evaluation.rec import Rec
from schemas.errors import ConfigError

FIGURES, SETTING = "figures.json", "run.json"
SHARE = 20  # of the steps, the first and the last of so many parts are compared


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run is: enough to build its model again. Files are as they were given, None where the run made its own."""

    lock: str
    lock_digest: str
    model: str
    recipe: dict[str, Any]
    llama: str | None
    eva: str | None
    checkpoint: str | None
    shuffled: bool


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run's figures.

    ``frozen`` parameters of ``trained`` and them; digests are of the vision tower's bytes before and after.
    ``unreached`` are trained parameters that never had a gradient, ``strayed`` frozen ones that had. Losses are means
    over the first and the last twentieth of the steps. ``mean_box`` is the mean over the boxes that training asked for.
    ``rec`` is of held-out questions, as are ``baseline``, which always answers the mean box, and ``geometry``.
    """

    setting: Setting
    boxcar: str
    torch: str
    device: str
    ranks: int
    steps: int
    seconds: float
    waited: float
    sequences: int
    tokens: int
    trained: int
    frozen: int
    tower_before: str
    tower_after: str
    unreached: list[str]
    strayed: list[str]
    proven: int
    wrong: int
    cut: int
    loss: tuple[float, float]
    box_loss: tuple[float, float] | None
    mean_box: list[float] | None
    rec: Rec | None
    baseline: Rec | None
    geometry: Geometry | None


def read_figures(folder: Path) -> Figures:
    """The figures of a run's folder; ConfigError where there are none."""
    told: Figures = _read(folder / FIGURES, Figures)
    return told


def read_setting(folder: Path) -> Setting:
    """What the run of a folder is; ConfigError where it is no run's."""
    told: Setting = _read(folder / SETTING, Setting)
    return told


def write(folder: Path, told: Figures | Setting) -> None:
    """Write either under its name."""
    name = FIGURES if isinstance(told, Figures) else SETTING
    (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")


def _read(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: not what a run of ours leaves: {error}") from error
