"""How a command ends."""

DONE = 0
#: ``verify`` found damage, ``ls`` no run, ``diff`` a difference, or ``check``, ``watch`` and ``doctor`` what they
#: are to fail on.
FOUND = 1
#: Wrong usage, no such run, or a file that cannot be read or written.
FAILED = 2
# As a shell reports a command that a signal ended: 128 and its number.
INTERRUPTED = 128 + 2
CLOSED_PIPE = 128 + 13
TERMINATED = 128 + 15

HELP = """exit status:
  0    done
  1    verify: something is damaged; ls: there is no run; check, watch, doctor: a finding is grave
       enough; diff: the runs differ
  2    wrong usage, no such run or function, or a file that cannot be read or written
  130  interrupted (Ctrl-C)
  141  nobody reads the output any more (| head)
"""
