"""Turn findings into few incidents, each with facts, a verdict by rules, and plain words."""

from guardian.triage.explain import explain_pending
from guardian.triage.run import TriageReport, run
from guardian.triage.settings import Endpoint, Settings

__all__ = ["Endpoint", "Settings", "TriageReport", "explain_pending", "run"]
