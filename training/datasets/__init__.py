"""Data sets of labelled faces, behind one interface: see `training.datasets.sources`."""
