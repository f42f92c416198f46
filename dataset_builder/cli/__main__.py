"""Run the command with `python -m dataset_builder.cli`."""

from dataset_builder.cli import main

main()
