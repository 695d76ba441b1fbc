"""Verbs: a function first, a command second. Imports everything else; nothing imports it."""
