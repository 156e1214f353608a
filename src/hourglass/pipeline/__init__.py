"""One training, from its configuration to its record: its parts, its trainer, what is kept, going on, measuring again.

Its modules:

    compose   data, model and learner of a configuration    train     fits, tests and records them
    trainer   Lightning's `Trainer` as a node               recorder  what a run keeps
    resume    going on with a run                           evaluate  a finished run on other data
    fit       the same from Python, on arrays               fitted    what that answers
    asked     what an evaluation is asked for               known     what is recorded already
"""
