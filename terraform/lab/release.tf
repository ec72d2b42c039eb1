# Versions of the last release: written by `darkroom deploy` and `darkroom rollback`, read here, so that a
# plain apply respects them.
#
#   {"before": {function: version}, "held": {function: version}, "mail_rate": 14,
#    "environment": "production", "changed_at": "2026-11-28T12:00:00.000Z"}
#
# `before`: versions that a rollback restores. `held`: versions of functions that were rolled back; they
# stay until the function has another image. `mail_rate`: e-mails a second that SES allows, read by the
# release. `environment` and `changed_at`: of the last release or rollback, for the operator console.

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

  # null: as in the functions' manifests.
  mail_rate = try(coalesce(var.ses_max_send_rate, try(jsondecode(aws_ssm_parameter.release[0].insecure_value).mail_rate, null)), null)
}

output "mail_rate_wanted" {
  description = "Whether a release reads the sending rate of SES: there are functions that send e-mails, and `ses_max_send_rate` is null."
  value       = !local.emulated && var.ses_max_send_rate == null && anytrue([for name in keys(local.lambdas) : can(local.manifests[name].environment.MAIL_SENDER)])
}

output "release" {
  description = "Parameter with the versions before the last release; null without functions."
  value       = one(aws_ssm_parameter.release[*].name)
}
