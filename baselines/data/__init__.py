"""Pictures and labels: a dataset folder is read, its pictures are packed once, batches come from the pack."""
