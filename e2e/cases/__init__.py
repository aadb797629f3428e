"""The conformance table, one file per service: steps that build, errors that are caused while all stands, steps that remove.

`BUILD` and `CLEAN` are lists of steps; `ERRORS` are (operation, arguments, code). `UNCAUSED` tells, for the modelled
errors that no row causes, why a client cannot.
"""
