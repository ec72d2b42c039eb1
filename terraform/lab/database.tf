# Postgres: created here, or an existing one.

locals {
  # Functions that also call the payment provider: only these get access to the internet.
  with_provider = toset([for name, m in local.manifests : name if contains(keys(try(m.environment, {})), "PAYMENTS_URL")])
  outbound      = var.payments.provider == "stripe"
  # Functions authenticate with an IAM token instead of a password.
  token = local.has.database && try(module.database[0].settings.proxy_enabled, false)

  # Whether a function of `features` uses Postgres at all.
  database_used = length(local.with_database) > 0

  database = local.has.database ? {
    url        = module.database[0].url
    secret_arn = module.database[0].secret_arn
    user_arn   = module.database[0].user_arn
    } : {
    url        = try(var.external_database.url, "")
    secret_arn = one(aws_secretsmanager_secret.database[*].arn)
    user_arn   = null
  }

  # Network of each function with the database; null outside of a VPC.
  networks = {
    for name in local.with_database : name => (
      !local.has.database ? try(var.external_database.network, null)
      : local.outbound && contains(local.with_provider, name) ? module.database[0].outbound_vpc
      : module.database[0].vpc
    )
  }
  worker_network = local.has.database ? module.database[0].vpc : try(var.external_database.network, null)
}

module "database" {
  source = "../modules/database"
  count  = local.has.database_server ? 1 : 0

  prefix              = var.prefix
  settings            = var.database
  deletion_protection = var.protected
  log_retention_days  = var.log_retention_days
  outbound_enabled    = local.outbound
  interface_endpoints = local.interface_endpoints
}

locals {
  interface_endpoints = setunion(
    ["email", "secretsmanager", "sns", "sqs", "states"],
    length(local.workers) > 0 ? ["ecr.api", "ecr.dkr", "logs"] : [],
    can(regex("//xray[.]", var.traces_endpoint)) ? ["xray"] : [],
  )
}

resource "aws_secretsmanager_secret" "database" {
  count = local.has.database || !local.database_used ? 0 : 1

  name                    = "${var.prefix}-database"
  description             = "Login of the external database: {username, password}."
  recovery_window_in_days = var.protected ? 30 : 0

  lifecycle {
    precondition {
      condition     = var.external_database != null
      error_message = "target = ${var.target} has no database of its own: set external_database and external_database_password."
    }
  }
}

resource "aws_secretsmanager_secret_version" "database" {
  count = local.has.database || !local.database_used ? 0 : 1

  secret_id                = aws_secretsmanager_secret.database[0].id
  secret_string_wo         = jsonencode({ username = try(var.external_database.username, ""), password = var.external_database_password })
  secret_string_wo_version = var.external_database_password_version
}
