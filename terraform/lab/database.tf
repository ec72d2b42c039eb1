# Postgres: made here, or named from outside.

locals {
  # Functions that call the payment provider as well: their way out is the only one.
  with_provider = toset([for name, m in local.manifests : name if contains(keys(try(m.environment, {})), "PAYMENTS_URL")])
  outbound      = var.payments.provider == "stripe"
  # A token of the function's role instead of a password.
  token = local.has.database && var.database.proxy_enabled

  database = local.has.database ? {
    url        = module.database[0].url
    secret_arn = module.database[0].secret_arn
    user_arn   = module.database[0].user_arn
    } : {
    url        = try(var.external_database.url, "")
    secret_arn = aws_secretsmanager_secret.database[0].arn
    user_arn   = null
  }

  # Where a function with the database is; null for outside of any VPC.
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
  count  = local.has.database ? 1 : 0

  prefix                = var.prefix
  engine_mode           = var.database.engine_mode
  engine_version        = var.database.engine_version
  instance              = var.database.instance
  serverless            = var.database.serverless
  backup_retention_days = var.database.backup_retention_days
  rotation_days         = var.database.rotation_days
  proxy_enabled         = var.database.proxy_enabled
  cidr_block            = var.database.cidr_block
  availability_zones    = var.database.availability_zones
  endpoint_zones        = var.database.endpoint_zones
  deletion_protection   = var.protected
  outbound_enabled      = local.outbound
  interface_endpoints = setunion(
    ["email", "secretsmanager", "sns", "sqs", "states"],
    length(local.workers) > 0 ? ["ecr.api", "ecr.dkr", "logs"] : [],
  )
}

resource "aws_secretsmanager_secret" "database" {
  count = local.has.database ? 0 : 1

  name                    = "${var.prefix}-database"
  description             = "The login of the database from outside: {username, password}."
  recovery_window_in_days = var.protected ? 30 : 0

  lifecycle {
    precondition {
      condition     = var.external_database != null
      error_message = "Nobody makes a database for target = ${var.target}: name one with external_database and external_database_password."
    }
  }
}

resource "aws_secretsmanager_secret_version" "database" {
  count = local.has.database ? 0 : 1

  secret_id                = aws_secretsmanager_secret.database[0].id
  secret_string_wo         = jsonencode({ username = try(var.external_database.username, ""), password = var.external_database_password })
  secret_string_wo_version = var.external_database_password_version
}
