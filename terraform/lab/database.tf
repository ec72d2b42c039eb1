# Postgres: made here, or named from outside.

resource "aws_secretsmanager_secret" "database" {
  count = local.has.database ? 0 : 1

  name                    = "${var.prefix}-database"
  description             = "The login of the database from outside: {username, password}."
  recovery_window_in_days = var.protected ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "database" {
  count = local.has.database ? 0 : 1

  secret_id                = aws_secretsmanager_secret.database[0].id
  secret_string_wo         = jsonencode({ username = try(var.external_database.username, ""), password = var.external_database_password })
  secret_string_wo_version = var.external_database_password_version
}

locals {
  database = {
    url        = try(var.external_database.url, "")
    secret_arn = one(aws_secretsmanager_secret.database[*].arn)
    user_arn   = null
    vpc        = null
  }
}
