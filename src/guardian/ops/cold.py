"""How the cold tier is: files that cannot be read, and files that are not this store's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.store import cold_files

if TYPE_CHECKING:
    from guardian.store import Store


def reasons(store: Store) -> list[tuple[str, str, str]]:
    """Return what is wrong with the cold tier, as (state, about, text)."""
    found = []
    for folder, number in cold_files.put_aside(store):
        text = (
            f"{number} cold files that this store does not know were moved to {folder}: they are "
            "of a store that lay here before, most likely. Delete the folder if you do not want "
            "them"
        )
        found.append(("amber", "store", text))
    return found
