"""Models that are trained: loaded from their run, and used on what a person has.

Its modules:

    load          a run's configuration and weights to a model
    model         takes arrays of any kind, in their own units
    inputs        what a model takes, and what it refuses
    table_model   in the units of a scaled table
    classifier    a head on the code
    arrays        files of samples and codes
"""
