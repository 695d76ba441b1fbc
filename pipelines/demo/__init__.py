"""A small made-up world, published as if it were COCO and RefCOCO, to try the pipeline without downloads."""
