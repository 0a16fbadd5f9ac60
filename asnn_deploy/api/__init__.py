"""What users call, as `asnn_deploy.verify` and its like; each command of `asnn-deploy` is options and printing over it.

network.py   what each function takes: a network by its path or as a graph; data by name or as arrays
loading.py   load, from_torch, from_checkpoint, save
running.py   run
training.py  train
exporting.py export
checking.py  verify
counting.py  report
placing.py   fit
integers.py  quantize
"""
