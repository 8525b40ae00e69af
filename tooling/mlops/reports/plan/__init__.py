"""A plan as text and as Markdown: what it means first, then its fields; deletions before everything else."""
