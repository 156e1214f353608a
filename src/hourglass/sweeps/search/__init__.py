"""Search: jobs that a sampler suggests from what earlier ones have shown, instead of every combination.

    x_n ~ sampler(x_1, y_1, ..., x_{n-1}, y_{n-1}),    y_n = objectives of the job at x_n

A trial is a suggested point x_n and what became of it. Trials are asked for in batches; each batch trains as a sweep
does, in slots and stacks. `loop` is this, `space` what x may be, `trials` the memory, in a journal that outlives the
process, `pruning` what a job tells while it trains, `report` what the study's run holds in the end.
"""
