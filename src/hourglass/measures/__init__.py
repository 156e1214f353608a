"""What is measured of a model and its code, and what that is held against.

Its modules:

    streaming, images, codes   reconstruction and sparsity, batch by batch       health         the verdict on a run
    linear_floor               the best linear code on the same input            restorations   classical methods
    probes, linear_probe       how useful a code is                              likelihood     of a generative model
    prior_distance, code_jacobian   how a code is spread, how it follows its input    paired    differences seed by seed
"""
