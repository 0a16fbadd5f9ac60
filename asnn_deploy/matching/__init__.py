"""Which rules another tool's network was run by, found from what it was fed and what it fired.

recording.py   what the tool was fed and what it sent, checked against the network
rounding.py    numbers with a bound on their float32 rounding errors
replay.py      the network by one set of rules, every layer fed what was recorded
search.py      the rules that fit best
"""
