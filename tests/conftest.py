"""Fixtures that many tests share: a small world, written once per run as the published files of every source."""

from pathlib import Path

import pytest

from pipelines.demo.publish import world, write_world


@pytest.fixture(scope="session")
def demo_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files of a world of 60 pictures: coco/, refer/, mdetr/, flat/, karpathy/, lavis/. Read only."""
    root = tmp_path_factory.mktemp("world")
    write_world(world(60, seed=7), root)
    return root
