"""What all tests share: a small world, written once per run as the published files of every source.

Hypothesis keeps no examples on disk and no clock: a slow machine fails nothing.
"""

from pathlib import Path

import pytest
from hypothesis import settings

from pipelines.demo.publish import world
from pipelines.demo.sources import write_world

settings.register_profile("boxcar", deadline=None, database=None, print_blob=True)
settings.load_profile("boxcar")


@pytest.fixture(scope="session")
def demo_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files of a world of 60 pictures: coco/, refer/, mdetr/, flat/, karpathy/, lavis/. Read only."""
    root = tmp_path_factory.mktemp("world")
    write_world(world(60, seed=7), root)
    return root
