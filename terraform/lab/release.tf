# Versions of the last release: written by `darkroom deploy` and `darkroom rollback`, read here, so that a
# plain apply respects them.
#
#   {"before": {function: version}, "held": {function: version}}
#
# `before`: versions that a rollback restores. `held`: versions of functions that were rolled back; they
# stay until the function has another image.

resource "aws_ssm_parameter" "release" {
  #checkov:skip=CKV2_AWS_34:Function names and version numbers are not secret, and Terraform must read them.
  count = local.has.functions ? 1 : 0

  name           = "/${var.prefix}/release"
  description    = "Versions before the last release, and versions that are held."
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
  description = "Parameter with the versions before the last release; null without functions."
  value       = one(aws_ssm_parameter.release[*].name)
}
