"""Claims: a sentence about autoencoders, put to the test by runs that differ in nothing but what it is about.

    claim      a sentence, the arms that are compared, and what is expected of them: a yaml file
    arm        a training, the measurement of a trained arm on other data, or a function of one; once for each seed
    pair       the values of two arms with one seed: the same data, batches and draws, so that seeds move both alike
    effect     the mean difference of the pairs on the side that is expected, with an interval
    verdict    CONFIRMED, REFUTED or UNDECIDED, judged together with all claims of a page

The way of a claim, from its file to its verdict:

    claim.read        the file becomes a `Claim`; `expectation` reads what it expects
    running.run       its trainings become one sweep; measurements follow; what is recorded is not made again
    verdict.judge     pairs become effects, intervals and, over the whole page, verdicts
    page.write        a table, a sentence and a picture for each, and the numbers as results.csv
"""

from hourglass.claims.claim import Arm, Claim, read
from hourglass.claims.verdict import Judged, judge

__all__ = ["Arm", "Claim", "Judged", "judge", "read"]
