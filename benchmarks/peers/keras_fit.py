"""Keras 3 on TensorFlow: `model.fit` over a float array in memory, as a Keras user writes it."""

import os
import time
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow
from keras import layers
from measure import BATCH, RATE, arguments, report, train_images

WIDTHS = {"small": [64, 784], "deep": [512, 256, 64, 256, 512, 784]}


def network(net: str) -> keras.Model:
    """The same three nets as in nets.py."""
    if net == "conv":

        def conv(channels: int, padding: str = "same") -> layers.Layer:
            return layers.Conv2D(channels, 3, padding=padding, activation="relu")

        def pool() -> layers.Layer:
            return layers.MaxPooling2D(2, padding="same")

        stack = [keras.Input((28, 28, 1)), conv(16), pool(), conv(8), pool(), conv(8), pool()]
        stack += [conv(8), layers.UpSampling2D(2), conv(8), layers.UpSampling2D(2)]
        stack += [conv(16, "valid"), layers.UpSampling2D(2)]
        return keras.Sequential([*stack, layers.Conv2D(1, 3, padding="same", activation="sigmoid")])
    *hidden, output = WIDTHS[net]
    stack = [keras.Input((784,)), *(layers.Dense(width, activation="relu") for width in hidden)]
    return keras.Sequential([*stack, layers.Dense(output, activation="sigmoid")])


class Stop(keras.callbacks.Callback):
    """Ends the training after the epoch in which enough has been measured.

    Whole epochs, because a callback on every batch makes Keras wait for the batch's loss.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.elapsed = 0.0
        self.epochs = 0

    def on_epoch_begin(self, *_: Any) -> None:
        """Start the clock."""
        if self.epochs == 0:
            self.start = time.perf_counter()

    def on_epoch_end(self, *_: Any) -> None:
        """Count the epoch."""
        self.epochs += 1
        self.elapsed = time.perf_counter() - self.start
        self.model.stop_training = self.elapsed >= self.seconds


args = arguments()
keras.utils.set_random_seed(0)
images = train_images(args.data).astype("float32") / 255
x = images[..., None] if args.net == "conv" else images.reshape(len(images), -1)
model = network(args.net)
model.compile(optimizer=keras.optimizers.Adam(RATE), loss="mse")
warm_up = x[: 20 * BATCH]
model.fit(warm_up, warm_up, batch_size=BATCH, epochs=2, verbose=0)
stop = Stop(args.seconds)
history = model.fit(x, x, batch_size=BATCH, epochs=1_000_000, verbose=0, callbacks=[stop])

steps = stop.epochs * -(-len(x) // BATCH)
report(
    steps=steps,
    seconds=stop.elapsed,
    all_steps=steps + 40,
    parameters=model.count_params(),
    loss=history.history["loss"][-1],
    versions=f"keras {keras.__version__} on tensorflow {tensorflow.__version__}",
)
