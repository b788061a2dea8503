"""Judge what was collected: rows in, findings out. Nothing here acts."""

from guardian.detect.engine import DetectReport, run
from guardian.detect.settings import Settings

__all__ = ["DetectReport", "Settings", "run"]
