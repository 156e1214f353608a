"""A study at a glance: what the run of a sweep shows of its jobs, while they run and at the end.

    heat map   the test error over two axes of the sweep, means over the others
    curves     error, active code units and linear probe over one axis, the linear floor, seeds as error bars
    effects    each setting alone, a panel each, where there is no room for it in the others
    mosaic     the same test images as every model of the study reconstructs them
    table      one line per job, as `study/jobs.csv`; the best run as the tag `best_run`
    report     all of it and more on one page, as `report.html`

`table` holds the jobs and sums them up, `conclusions` says what they show, `charts`, `main_effects`, `learning` and
`mosaic` draw, `report` makes the page, of what `gathering` finds and `searched` knows of a search. `record` does it all
in a process of its own, which `recorder` starts.
"""

from hourglass.sweeps.studies.recorder import StudyRecorder

__all__ = ["StudyRecorder"]
