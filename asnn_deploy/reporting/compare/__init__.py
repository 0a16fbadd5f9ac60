"""Two reports on the same samples, side by side, with the intervals of their paired differences.

compared = compare(read_report(Path("report-a")), read_report(Path("report-b")))
write(compared, Path("out"))        # compare.html, compare.json, compare.md
"""

from asnn_deploy.reporting.compare.document import compare
from asnn_deploy.reporting.compare.page import html, markdown, write
from asnn_deploy.reporting.compare.read import Recorded, check_same_samples, read_report

__all__ = ["Recorded", "check_same_samples", "compare", "html", "markdown", "read_report", "write"]
