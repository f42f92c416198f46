"""`python -m baselines.cli`, which is what torchrun starts."""

from baselines.cli import main

main()
