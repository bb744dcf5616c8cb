"""Everything needed to make a bundle: data, fine-tuning, heads, export, evaluation."""
