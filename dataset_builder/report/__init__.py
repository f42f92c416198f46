"""The report of a dataset: one page of tables and pictures that needs nothing but itself."""

from dataset_builder.report.page import report_page

__all__ = ["report_page"]
