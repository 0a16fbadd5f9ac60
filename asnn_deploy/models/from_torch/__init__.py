"""Networks of other tools, read from their torch modules: parameters and conventions both, and no file between.

walk.py          where the reading stands, and what every rule may ask and add
stateless.py     torch's own modules: weights, pooling, flattening, batch norm, containers
snntorch.py norse.py spikingjelly.py sinabs.py      one tool each: a rule for each class
reading.py       which rule reads a module, and the whole network

No tool is imported: a class is known by its name and the path of its module. How to add a class: write its rule in the
file of its tool and name it in the table there. Every rule was read in the tool's source, at the version in
`asnn_deploy/conventions/`, and held against the tool itself (`conformance/torch_modules.py`).
"""
