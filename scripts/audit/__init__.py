"""The audit report: what evidence shows, over a period or a data set, as one page that opens without a network.

`read_audit` reads and verifies, `render_page` draws; nothing between the two touches disk, network or clock.
"""

from scripts.audit.audit import Audit, Request, read_audit
from scripts.audit.page import render_page
from scripts.audit.pdf import find_chromium, print_pdf
from scripts.audit.scope import Period, Scope

__all__ = ["Audit", "Period", "Request", "Scope", "find_chromium", "print_pdf", "read_audit", "render_page"]
