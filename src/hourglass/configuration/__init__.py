"""From words and yaml to objects: what `conf/` offers, how it is composed, changed, checked and built.

Its modules:

    groups            the yaml files, ours and a person's own, and what was chosen of them
    overrides         `KEY=VALUE`, and mistakes in it in one line
    composition       a whole configuration
    resolvers         what yaml files compute
    schema            the constructors as the schema of their yaml
    hints             whether a value suits a type hint
    build             a node to its object
    identity          the hash that names a training
    moved             names that earlier versions recorded
    trust             what a record may build
    plain_yaml        anybody's yaml as plain values
    current_folder    a person's code beside their project
    hydra_internals   what is known of Hydra that it doesn't promise
"""
