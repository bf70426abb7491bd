"""From stored results to tables and pages; called, it is `handsigns.api.report`."""

import sys

from handsigns._callable import CallablePackage

sys.modules[__name__].__class__ = CallablePackage
