# Roles of GitHub Actions in this account, and its budget: docs/how-to/pipeline.md.
region     = "eu-central-1"
repository = "change-me/darkroom"
# The bucket of Terraform's state.
state_bucket = "change-me"
environments = {
  development = "darkroom-dev"
  production  = "darkroom"
}
tags = { owner = "change-me" }
# budget = { limit = 300, emails = ["you@example.com"] }
