"""Hypothesis here keeps no examples on disk and no clock: a slow machine fails nothing."""

from hypothesis import settings

settings.register_profile("boxcar", deadline=None, database=None, print_blob=True)
settings.load_profile("boxcar")
