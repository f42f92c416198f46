"""Pictures and labels: a dataset folder is read, its pictures are decoded once into a cache."""
