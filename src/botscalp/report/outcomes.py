"""What the words of a verdict mean."""

MEANING = {
    "SUSPICIOUS": "too good to be true. Believe none of these figures; botscalp.audit says whether a leak or easy data made them.",
    "REJECTED": "the figures speak against the model, beyond what luck explains.",
    "INCONCLUSIVE": "nothing speaks against the model, and not enough speaks for it.",
    "CANDIDATE": "every rule is passed. Trade it on paper before you trade it.",
}
"""by outcome"""
