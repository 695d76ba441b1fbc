"""Getting the pictures of published link lists."""
