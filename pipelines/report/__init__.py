"""``boxcar report``: what is in a pool or a lock, as figures, a page, a dataset card and Croissant metadata."""
