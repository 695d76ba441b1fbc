"""A page on which a pool or a lock is looked at: what is read for it, what is told of it, and the server."""
