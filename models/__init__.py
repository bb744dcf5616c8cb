"""Everything needed to use a model: bundles, detection, alignment, encoder, head, scorer."""
