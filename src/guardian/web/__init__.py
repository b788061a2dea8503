"""The page: what the house sees and answers, served by the daemon itself."""

from guardian.web.app import create_app
from guardian.web.settings import Settings

__all__ = ["Settings", "create_app"]
