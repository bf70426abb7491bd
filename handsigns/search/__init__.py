"""The search; the package can be called, as `handsigns.api.search`."""

import sys

from handsigns import CallablePackage

sys.modules[__name__].__class__ = CallablePackage
