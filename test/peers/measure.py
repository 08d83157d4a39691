"""What the peers share: measuring their own CPU time, and telling of it."""

import json
import resource
import sys


def cpu(whose=(resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)):
    """User and system time of this process and of its children that have ended, in s."""
    used = [resource.getrusage(who) for who in whose]
    return sum(u.ru_utime + u.ru_stime for u in used)


def repeat(work, seconds):
    """Does work, which returns how much it did, for so much CPU time: (how much, CPU s)."""
    start, done, used = cpu(), 0, 0
    while used < seconds:
        done += work()
        used = cpu() - start
    return done, used


def tell(done, cpu_s, **more):
    """Prints the one line that contenders.py reads."""
    json.dump({"done": done, "cpu_s": cpu_s, **more}, sys.stdout)
    print()
