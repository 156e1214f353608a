"""Training procedures: the LightningModules. Each is one way in which a model learns."""

from hourglass.training.adversarial import Adversarial
from hourglass.training.backprop import Backprop
from hourglass.training.closed_form import ClosedForm
from hourglass.training.discriminated import Discriminated, DiscriminatedArguments
from hourglass.training.factor import Factor
from hourglass.training.finetune import Finetune
from hourglass.training.gan import VAEGAN, AdversarialReconstruction
from hourglass.training.hamiltonian import Hamiltonian
from hourglass.training.head import Head
from hourglass.training.importance_weighted import ImportanceWeighted
from hourglass.training.layerwise import Layerwise
from hourglass.training.learner import Learner
from hourglass.training.masked import Masked
from hourglass.training.minibatch import MakeOptimizer, Minibatch, MinibatchArguments, Stepper
from hourglass.training.recirculation import Recirculation
from hourglass.training.resampling import Resampling
from hourglass.training.riemannian import Riemannian

__all__ = [
    "VAEGAN",
    "Adversarial",
    "AdversarialReconstruction",
    "Backprop",
    "ClosedForm",
    "Discriminated",
    "DiscriminatedArguments",
    "Factor",
    "Finetune",
    "Hamiltonian",
    "Head",
    "ImportanceWeighted",
    "Layerwise",
    "Learner",
    "MakeOptimizer",
    "Masked",
    "Minibatch",
    "MinibatchArguments",
    "Recirculation",
    "Resampling",
    "Riemannian",
    "Stepper",
]
