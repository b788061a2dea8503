"""What reaches people: the digest and its channels."""

from guardian.notify.digest import Digest, build
from guardian.notify.settings import Channel, Settings

__all__ = ["Channel", "Digest", "Settings", "build"]
