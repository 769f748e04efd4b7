"""The paper's tables and figures, each a declaration of what is trained, how it tracks, and on what.

`asmd.experiments.plan` has the words, `asmd.experiments.running` does it, `asmd.experiments.summary` writes it down; a
module for each table says what is in it.
"""
