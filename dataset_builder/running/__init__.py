"""Run the stages of a build: what to do, what is done, where it is done."""
