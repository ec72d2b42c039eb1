# What is live, and what was before: written by `darkroom deploy` and `darkroom rollback`, read here, so
# that a plain apply keeps to it as well.
#
#   {"before": {function: version}, "held": {function: version}}
#
# `before` is what a rollback goes back to; a function in `held` was taken back and stays at its version
# until another image comes.

resource "aws_ssm_parameter" "release" {
  #checkov:skip=CKV2_AWS_34:Names of functions and numbers of versions are no secret, and Terraform has to read them.
  count = local.has.functions ? 1 : 0

  name           = "/${var.prefix}/release"
  description    = "Versions that functions were at before the last release, and those that are held."
  type           = "String"
  insecure_value = jsonencode({ before = {}, held = {} })

  lifecycle {
    ignore_changes = [insecure_value]
  }
}

locals {
  held = try(jsondecode(aws_ssm_parameter.release[0].insecure_value).held, {})
}

output "release" {
  description = "The parameter that says what was live before the last release; null where no functions are."
  value       = one(aws_ssm_parameter.release[*].name)
}
