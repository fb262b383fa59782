"""`hydra/launcher=ec2`: sweeps on a machine that is rented for them and given back for certain."""
