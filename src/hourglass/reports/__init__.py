"""Reports: what runs and studies say, as one page that needs nothing else.

    content   what a page holds: sentences, tables, pictures, parts that a reader can turn
    html      the page as one file, which opens from disk and within MLflow
    markdown  the same as text with its pictures beside it
    inside    what a trained model does with some test samples, which the next two show
    units     a card for each unit of the code
    code_map  the codes as points, with what stands behind each
    compared  runs beside each other
    listing   runs and studies as lines of text

What a study says is `hourglass.sweeps.studies.report`.
"""
