"""What a drawn figure shows, read back."""

from matplotlib.text import Text

from hourglass.figures import to_array


def texts(figure):
    to_array(figure)
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def drawn(figure):
    """The arrays of all images of the figure, from the top."""
    axes = [a for a in figure.axes if a.images]
    return [a.images[0] for a in sorted(axes, key=lambda a: -a.get_position().y0)]
