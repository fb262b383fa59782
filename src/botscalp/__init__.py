"""botscalp: does this model earn money after costs, out of sample, and should I believe the number?"""
