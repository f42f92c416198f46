"""Pages of HTML that need nothing but themselves: of a leaderboard, of a run, of the findings in a file."""

from rocov2_eval.pages.front_page import index_page
from rocov2_eval.pages.report_page import report_page
from rocov2_eval.pages.run_page import findings_page, run_page
from rocov2_eval.pages.team_page import team_page

__all__ = ["findings_page", "index_page", "report_page", "run_page", "team_page"]
