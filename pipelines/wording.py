"""The wording of a run: its seed, its codec, and the template pools, a user's own among them."""

from converters._read import read
from manifests import parse
from schemas.box import codec
from schemas.errors import ConfigError
from schemas.prompt import Wording, replaced, templates


def worded(seed: int, codec_name: str, own: str | None = None) -> Wording:
    """The wording of these; ``own`` is a YAML of template pools that stand in for Boxcar's of the same names.

    Raises ConfigError for an unknown codec and for a YAML that holds anything but known pools of sound templates.
    """
    by = codec(codec_name)
    return Wording(seed, by) if own is None else Wording(seed, by, {**templates(), **own_pools(own)})


def own_pools(own: str) -> dict[str, tuple[str, ...]]:
    """The template pools that a user's YAML holds; ConfigError where it holds anything but sound pools of ours."""
    try:
        text = read(own).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{own}: not YAML: {error}") from error
    return replaced(parse(text, own), own)
