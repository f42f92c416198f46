"""Run the command as `python -m rocov2_eval.cli`."""

from rocov2_eval.cli import main

main()
