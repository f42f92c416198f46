"""What all three packages use and no domain owns: words, files, CSV, options, pictures, processes.

Nothing here knows a run, a figure or a network, and nothing here imports from the rooms above.
"""
