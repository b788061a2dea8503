"""Propose, carry out, prove and undo: nothing happens that a person did not decide."""

from guardian.respond.decide import answer
from guardian.respond.journal import step
from guardian.respond.offer import propose
from guardian.respond.settings import Settings

__all__ = ["Settings", "answer", "propose", "step"]
