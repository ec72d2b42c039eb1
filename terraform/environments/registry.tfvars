# One registry for all environments of an account and region.
region = "eu-central-1"
