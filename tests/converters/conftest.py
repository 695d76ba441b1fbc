"""Folders as their publishers lay them out, written by hand: what each test of a converter reads."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.convert import Outcome, job, outcomes
from schemas.prompt import Wording

Put = Callable[[str, Any], Path]
Run = Callable[..., list[Outcome]]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """``put(name, content)`` writes a file below the test's folder: bytes as they are, .p pickled, all else as JSON."""

    def written(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes):
            content = pickle.dumps(content, 2) if name.endswith(".p") else json.dumps(content).encode()
        path.write_bytes(content)
        return path

    return written


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``run(source, split, ...)`` gives what became of every candidate, read from the test's folder or ``root``."""

    def ran(source: str, split: str, root: object = tmp_path, **words: Any) -> list[Outcome]:
        return list(outcomes(job(source, str(root), split, **words), Wording()))

    return ran
