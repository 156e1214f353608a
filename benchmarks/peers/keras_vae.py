"""The convolutional VAE of Keras' examples (Chollet, 2020) in Keras itself: what its net and settings reach on the
60,000 training digits, beside `experiment=vae`. Prints the means of each epoch, in nats per image.

    .bench-peers/keras/bin/python benchmarks/peers/keras_vae.py --data ~/.cache/hourglass [--seed 0] [--epochs 30]
"""

import argparse
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy
import tensorflow
from keras import layers
from measure import train_images

BATCH = 128


def networks() -> tuple[keras.Model, keras.Model]:
    """Encoder to mean and log variance of a code of two, and decoder."""
    x = keras.Input((28, 28, 1))
    h = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    h = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(h)
    h = layers.Dense(16, activation="relu")(layers.Flatten()(h))
    encoder = keras.Model(x, [layers.Dense(2)(h), layers.Dense(2)(h)])
    z = keras.Input((2,))
    h = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(z))
    h = layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu")(h)
    h = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(h)
    return encoder, keras.Model(z, layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(h))


parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=30)
args = parser.parse_args()
keras.utils.set_random_seed(args.seed)
images = train_images(args.data)[..., None].astype("float32") / 255
encoder, decoder = networks()
weights = encoder.trainable_weights + decoder.trainable_weights
optimizer = keras.optimizers.Adam()
optimizer.build(weights)


@tensorflow.function
def step(x: tensorflow.Tensor) -> tuple[tensorflow.Tensor, tensorflow.Tensor]:
    """One step of Adam; reconstruction and divergence before it."""
    with tensorflow.GradientTape() as tape:
        mean, log_variance = encoder(x)
        z = mean + tensorflow.exp(0.5 * log_variance) * tensorflow.random.normal(tensorflow.shape(mean))
        entropy = keras.losses.binary_crossentropy(x, decoder(z))
        reconstruction = tensorflow.reduce_mean(tensorflow.reduce_sum(entropy, axis=(1, 2)))
        divergence = -0.5 * (1 + log_variance - tensorflow.square(mean) - tensorflow.exp(log_variance))
        kl = tensorflow.reduce_mean(tensorflow.reduce_sum(divergence, axis=1))
        loss = reconstruction + kl
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
    return reconstruction, kl


rng = numpy.random.default_rng(args.seed)
for epoch in range(1, args.epochs + 1):
    order = rng.permutation(len(images))
    order = numpy.concatenate([order, order[: -len(order) % BATCH]])  # the last batch is filled up
    terms = [[float(term) for term in step(tensorflow.constant(images[rows]))] for rows in order.reshape(-1, BATCH)]
    reconstruction, kl = numpy.mean(terms, axis=0)
    print(
        f"epoch {epoch}: loss {reconstruction + kl:.2f}, reconstruction {reconstruction:.2f}, kl {kl:.2f}", flush=True
    )
