"""What a drawn picture shows, read back."""


def texts(picture):
    return picture.texts


def drawn(picture):
    """All panels of the picture, from the top."""
    return sorted(picture.panels, key=lambda panel: panel.top)
