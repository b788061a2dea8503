"""Guardian: a home network security appliance.

It watches a home network, explains what it sees, asks a person, acts, proves
that it worked and undoes it on time. See ``docs/architecture.md``.
"""

__version__ = "0.1.0"
