"""From words and yaml to objects: what `conf/` offers, how it is composed, changed, checked and built.

groups       the yaml files, and what was chosen of them       overrides   `KEY=VALUE`, and mistakes in it in one line
composition  a whole configuration                             resolvers   what yaml files compute
schema       the constructors as the schema of their yaml      build       a node to its object
identity     the hash that names a training                    trust       what a record may build
moved        names that earlier versions recorded              plain_yaml  anybody's yaml as plain values
hydra_internals  what is known of Hydra that it doesn't promise
"""
