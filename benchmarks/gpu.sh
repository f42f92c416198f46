#!/usr/bin/env bash
# Every check of the project that wants a GPU, in order of value, as one Markdown table in ten minutes at most:
#
#     benchmarks/gpu.sh               # needs pip install -e ".[baselines]"; no network, no data, no weights
#     benchmarks/gpu.sh --small       # the same checks with the smallest sizes, on a CPU in about a minute
#
# gpu_checks.py has the checks, and says what each of them measures. PYTHON names another interpreter.
exec "${PYTHON:-python}" "$(dirname "$0")/gpu_checks.py" "$@"
