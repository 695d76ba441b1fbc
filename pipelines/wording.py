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
    if own is None:
        return Wording(seed, by)
    try:
        text = read(own).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{own}: not YAML: {error}") from error
    return Wording(seed, by, {**templates(), **replaced(parse(text, own), own)})
