"""A discriminator of samples: terms and gradients by hand, what is refused, and what a step changes."""

import pytest
import torch

from hourglass.configuration.composition import compose_config
from hourglass.losses import total
from hourglass.pipeline.compose import Parts, compose
from hourglass.system.errors import HourglassError
from hourglass.training.critic import Critic

SMALL = (
    *("data=digits", "data.train_size=250", "model=multilayer", "model.widths=[16]", "model.code_size=2"),
    *("training.discriminator_widths=[4,4]", "training.batch_size=50", "optimizer.lr=0.01"),
)
PLAIN = ("training=adversarial_reconstruction",)
GAN = ("bottleneck=gaussian", "training=vae_gan")


def make(*overrides: str) -> Parts:
    config, _ = compose_config([*SMALL, "trainer.accelerator=cpu", *overrides])
    torch.manual_seed(0)
    return compose(config)


class Sum(torch.nn.Module):
    """A discriminator whose logit is the sum of the pixels, by two features: upper and lower half."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = Halves()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.hidden(x).sum(dim=1, keepdim=True)  # type: ignore[no-any-return]


class Halves(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).view(len(x), 2, -1).sum(dim=2)


def test_a_critic_judges_images_signals_and_rows_one_by_one() -> None:
    for shape in ((3, 9, 12), (2, 17), (5,)):
        torch.manual_seed(0)
        critic, x = Critic(shape=shape, widths=[4, 3]), torch.rand(6, *shape)
        assert critic(x).shape == (6, 1)
        torch.testing.assert_close(critic(x)[2:3], critic(x[2:3]))
    with pytest.raises(ValueError, match=r"^discriminator_widths must list at most 3 layers .* \(1, 8, 8\).*got"):
        Critic(shape=(1, 8, 8), widths=[1, 1, 1, 1])


def test_the_plain_term_by_hand() -> None:
    learner = make(*PLAIN, "training.weight=2.0").learner
    learner.discriminator = Sum()
    x = torch.rand(6, 1, 8, 8)
    output, terms = learner.terms(x, x)
    made, original = output.reconstruction.flatten(1).sum(1), x.flatten(1).sum(1)
    assert list(terms) == ["reconstruction", "adversarial"]
    expected = (1 + (-made).exp()).log().mean().item()
    assert terms["adversarial"].weighted.item() == pytest.approx(2 * expected, rel=1e-5)
    scores = learner.scores(output, x, None)
    ours = ((1 + (-original).exp()).log().mean() + (1 + made.exp()).log().mean()) / 2
    assert scores["discriminator"].item() == pytest.approx(ours.item(), rel=1e-5)
    assert scores["discriminator_accuracy"] == 0.5  # all of them pass for originals


def test_a_vae_gan_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make(*GAN, "training.weight=2.0", "training.features=3.0", "training.pixels=0.5").learner
    learner.discriminator = Sum()
    monkeypatch.setattr(learner, "samples", lambda count: torch.zeros(count, 1, 8, 8))
    x = torch.rand(6, 1, 8, 8)
    output, terms = learner.terms(x, x)
    assert list(terms) == ["reconstruction", "kl", "features", "adversarial"]
    assert terms["reconstruction"].weighted == 0.5 * learner.loss(output.reconstruction, x)
    halves = (output.reconstruction - x).flatten(1).view(6, 2, 32).sum(2)
    assert terms["features"].weighted.item() == pytest.approx(1.5 * halves.square().sum(1).mean().item(), rel=1e-4)
    made = torch.cat([output.reconstruction.flatten(1).sum(1), torch.zeros(6)])
    assert terms["adversarial"].weighted.item() == pytest.approx(2 * (1 + (-made).exp()).log().mean().item(), rel=1e-5)
    scores = learner.scores(output, x, None)
    original = x.flatten(1).sum(1)
    ours = ((1 + (-original).exp()).log().mean() + (1 + made.exp()).log().mean()) / 2
    assert scores["discriminator"].item() == pytest.approx(ours.item(), rel=1e-5)
    assert scores["discriminator_accuracy"] == 0.75  # the samples' logit of 0 doesn't pass


def test_the_encoder_has_no_part_in_the_contest() -> None:
    learner = make(*GAN).learner
    x = torch.rand(6, 1, 8, 8)
    _, terms = learner.terms(x, x)
    encoder, decoder = list(learner.model.encoder.parameters()), list(learner.model.decoder.parameters())
    contest = terms["adversarial"].value
    assert all(each is None for each in torch.autograd.grad(contest, encoder, allow_unused=True, retain_graph=True))
    assert all(each.any() for each in torch.autograd.grad(contest, decoder, retain_graph=True))
    assert all(each.any() for each in torch.autograd.grad(terms["features"].value, encoder))


@pytest.mark.parametrize("words", [PLAIN, GAN], ids=["plain", "vae_gan"])
def test_a_step_moves_each_network_by_its_own_loss(words: tuple[str, ...]) -> None:
    parts = make(*words, "optimizer=sgd", "optimizer.lr=0.01", "optimizer.momentum=0.0", "training.discriminator_lr=0")
    learner, x = parts.learner, parts.data.scaled(parts.data.train.x[:50])
    judge = [weight.clone() for weight in learner.discriminator.parameters()]
    state = torch.get_rng_state()
    _, terms = learner.terms(x, x)
    weights = list(parts.model.parameters())
    expected = [w - 0.01 * g for w, g in zip(weights, torch.autograd.grad(total(terms), weights), strict=True)]
    torch.set_rng_state(state)
    logged = learner.step(x, x, None)
    assert {"loss", "adversarial", "adversarial_weighted", "discriminator", "discriminator_accuracy"} <= set(logged)
    for weight, value in zip(weights, expected, strict=True):
        torch.testing.assert_close(weight, value)
    for weight, value in zip(learner.discriminator.parameters(), judge, strict=True):
        assert weight.equal(value)


def test_the_discriminator_learns_to_tell_blur() -> None:
    parts = make(*PLAIN, "optimizer.lr=0.0", "training.discriminator_lr=0.01")
    learner, x = parts.learner, parts.data.scaled(parts.data.train.x[:100])
    for _ in range(60):
        scores = learner.step(x, x, None)
    assert scores["discriminator_accuracy"] > 0.95


def test_refused() -> None:
    with pytest.raises(
        HourglassError, match=r"^training: samples are drawn from a prior, .*; set bottleneck=gaussian$"
    ):
        make(*GAN, "bottleneck=linear")
    with pytest.raises(HourglassError, match=r"^training\.discriminator_widths must list at most 3 layers"):
        make(*PLAIN, "training.discriminator_widths=[2,2,2,2]")
    with pytest.raises(HourglassError, match=r"^training\.pixels must be at least 0"):
        make(*GAN, "training.pixels=-1.0")
    make(*GAN, "bottleneck=linear", "regularizer=mmd")  # which has a prior to draw from
