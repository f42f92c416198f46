"""Codabench v2: a competition as one archive, and the scoring of what it sends.

docs/codabench.md tells organisers what to do with it.
"""

from rocov2_eval.codabench.bundle import make_bundle
from rocov2_eval.codabench.submission import score_submission
from rocov2_eval.codabench.tasks import BundleOptions

__all__ = ["BundleOptions", "make_bundle", "score_submission"]
