"""The parts of a report that need a trained model: the map of its code, and a card for each unit.

They are of one model, the best: loading it, 2,000 samples through it and drawing take seconds.
"""

from hourglass.reports.content import Block, Section, Sentences
from hourglass.system.errors import reason


def model_sections(run_id: str, *, uri: str, code_map: str, label: str) -> list[Section]:
    """Code map and unit cards of a run; where it can't be loaded a section that says why.

    Args:
        run_id: the run.
        uri: where it is, resolved.
        code_map: `pca` or `tsne`.
        label: what tells it from others.
    """
    from hourglass.reports.code_map import code_map as drawn
    from hourglass.reports.inside import Inside
    from hourglass.reports.units import unit_cards

    which = f"Of the best run, {label}: {run_id[:8]}." if label else f"Of run {run_id[:8]}."
    try:
        inside = Inside.of(run_id, uri=uri)
        blocks: list[Block] = [Sentences(lines=[which]), drawn(inside, method=code_map)]
        cards = [Sentences(lines=[which]), *unit_cards(inside)]
    except Exception as error:  # as where the data are gone: the rest of the report needs none
        return [Section(title="Map of the code", blocks=[Sentences(lines=[f"{which} Not drawn: {reason(error)}"])])]
    return [Section(title="Map of the code", blocks=blocks), Section(title="Units of the code", blocks=cards)]
