"""Model data: what a deployment was asked and what it answered, kept in files that later analysis reads."""
