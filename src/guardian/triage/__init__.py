"""Turn findings into few incidents, each with facts, a verdict by rules, and plain words."""

from guardian.triage.explain import explain_pending
from guardian.triage.pool import Pool
from guardian.triage.run import TriageReport, run
from guardian.triage.settings import Endpoint, Settings
from guardian.triage.similar import embed_pending
from guardian.triage.watch import watch

__all__ = [
    "Endpoint",
    "Pool",
    "Settings",
    "TriageReport",
    "embed_pending",
    "explain_pending",
    "run",
    "watch",
]
