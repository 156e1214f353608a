"""What a study says of itself on its page, of jobs that were made up."""

from hourglass.pipeline.description import numbers
from hourglass.sweeps.studies.description import Place, describe
from hourglass.sweeps.studies.table import Row, Table


def test_numbers_stand_beside_what_they_need_to_be_read() -> None:
    """The error beside that of the code as trained, the probe beside its samples, dead units in every line."""
    metrics = {"test/mse": 0.0316, "test/mse_as_trained": 0.0151, "fit/dead_units": 188.0}
    metrics |= {"test/linear_accuracy": 0.912, "test/linear_samples": 55_000.0}
    rows = [
        Row({"model.code_size": size}, "FINISHED", f"run{size}", {**metrics, "test/mse": mse}, 2.0, "")
        for size, mse in (("2", 0.05), ("4", 0.0316))
    ]
    table = Table(name="made up", axes={"model.code_size": ["2", "4"]}, rows=rows)
    text = describe(table, place=Place("1", "study"), tags={}, pictures={}, report=None)
    first, *_ = text.splitlines()
    assert (
        "test MSE 0.03160, as trained 0.01510, dead units 188, linear probe 91.2%, learned from 55,000 samples" in first
    )
    lines = text.splitlines()
    assert "| code size | test MSE | as trained | dead units | linear probe | learned from | seconds |" in lines
    assert any(line.endswith("| 0.01510 | 188 | 91.2% | 55,000 samples | 2 |") for line in lines)
    # The same on the page of a run.
    assert list(numbers(metrics)) == [
        *("test MSE", "test MSE of the code as in training", "dead units", "linear probe", "linear probe learned from"),
    ]
