"""``python -m pipelines.demo``, the same as ``boxcar demo``."""

import sys

from pipelines.cli import main

if __name__ == "__main__":
    main(["demo", *sys.argv[1:]])
