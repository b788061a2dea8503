"""How unlike words a registered label is: the mark of names that a program made up.

The table holds, for each pair of letters, how surprising the second is after the
first, in bits less one, cut to 0-9. It was counted over 3,345 labels of known
services (the v2fly domain lists, MIT). Labels of ten letters and more that people
chose lie at 2.8 on average and below 3.7 in 99 of 100; drawn evenly from the
alphabet they lie at 4.8, and above 4.0 in 9 of 10 at fifteen letters.
"""

from __future__ import annotations

import itertools
import re

_SURPRISE = (
    "64336546386332328333566655"
    "25431667366466269345367727"
    "36432772583265255343578767"
    "33452646256552367525356457"
    "34344556486442559223755448"
    "26463663366297377257352396"
    "35442554366254266434376655"
    "17552955287566157454275867"
    "34244546765332437433646566"
    "36222655186588366546366666"
    "26441556277465347533363647"
    "24541767197357267654467949"
    "15552637277647247635578746"
    "35432527364565468532676657"
    "54447446554432349234254565"
    "27563773287266219334487678"
    "44475553275547444534154755"
    "25441557294455259333446748"
    "34452563375553336632366757"
    "26462663278556258334445647"
    "33415856465542547233697556"
    "27451667164555367556586886"
    "13662964196665359534474597"
    "35355453066436538853566548"
    "25344564359544346531374666"
    "36663651248554186653365566"
)

MIN_LETTERS = 7
"""Shorter labels say too little: abbreviations are as surprising as random ones."""

_WORDLIKE = 3.2
"""Mean surprise that nine in ten chosen labels stay below: counts as 0."""
_RANDOM = 5.2
"""Mean surprise that few labels drawn at random exceed: counts as 1."""
_MIXED = re.compile(r"[a-z][0-9]|[0-9][a-z]")


def randomness(label: str) -> float:
    """Return 0 for a label that reads like words, up to 1 for one that reads like noise.

    Changes between letters and digits count: people put a number at the end, programs
    anywhere.
    """
    letters = re.sub(r"[^a-z]", "", label)
    pairs = [
        int(_SURPRISE[26 * (ord(a) - 97) + ord(b) - 97])
        for word in re.findall(r"[a-z]+", label)
        for a, b in itertools.pairwise(word)
    ]
    mixed = max(0, len(_MIXED.findall(label)) - 2)
    if len(letters) < MIN_LETTERS and mixed < 3:
        return 0.0
    mean = sum(pairs) / len(pairs) if pairs else _WORDLIKE
    score = (mean - _WORDLIKE) / (_RANDOM - _WORDLIKE) + 0.15 * mixed
    return round(min(1.0, max(0.0, score)), 3)
