# Postgres: one instance or Aurora Serverless v2, optionally behind RDS Proxy, to which functions
# authenticate with IAM tokens of their roles.

locals {
  port       = 5432
  serverless = var.settings.engine_mode == "serverless"

  # Memory of a server in GiB: of the instance class, or of Aurora's maximum capacity (2 GiB each).
  instance_memory = { micro = 1, small = 2, medium = 4, large = 8, xlarge = 16 }
  # Of classes db.r*, which have twice as much; `2xlarge` and more multiply xlarge.
  class_parts   = split(".", var.settings.instance.class)
  class_size    = local.class_parts[2]
  class_memory  = try(local.instance_memory[local.class_size], tonumber(trimsuffix(local.class_size, "xlarge")) * 16) * (startswith(local.class_parts[1], "r") || startswith(local.class_parts[1], "x") ? 2 : 1)
  server_memory = local.serverless ? 2 * var.settings.serverless.maximum_acu : local.class_memory
  # Memory / 9,531,392 bytes, at most 5,000; the operating system takes a quarter of the memory:
  # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html
  connection_limit = floor(min(5000, 0.75 * local.server_memory * 1073741824 / 9531392))

  major = split(".", var.settings.engine_version)[0]

  server_endpoint   = local.serverless ? one(aws_rds_cluster.this[*].endpoint) : one(aws_db_instance.this[*].address)
  master_secret_arn = local.serverless ? one(aws_rds_cluster.this[*].master_user_secret[0].secret_arn) : one(aws_db_instance.this[*].master_user_secret[0].secret_arn)

  # Both are verified, by other authorities: Amazon's public ones sign RDS Proxy's certificate, those of
  # Amazon RDS the server's. https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
  endpoint = var.settings.proxy_enabled ? aws_db_proxy.this[0].endpoint : local.server_endpoint
  proxy_id = var.settings.proxy_enabled ? element(split(":", aws_db_proxy.this[0].arn), 6) : null

  server_tags = merge(var.tags, { Name = local.base })
}

resource "aws_db_subnet_group" "this" {
  name        = local.base
  description = "The private subnets."
  subnet_ids  = [for subnet in aws_subnet.private : subnet.id]
  tags        = var.tags
}

resource "aws_security_group" "server" {
  name        = "${local.base}-server"
  description = "Postgres itself."
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${local.base}-server" })

  ingress {
    description     = var.settings.proxy_enabled ? "Postgres from the proxy" : "Postgres from the functions"
    protocol        = "tcp"
    from_port       = local.port
    to_port         = local.port
    security_groups = var.settings.proxy_enabled ? [aws_security_group.proxy[0].id] : local.client_groups
  }
}

locals {
  client_groups = concat([aws_security_group.clients.id], aws_security_group.outbound[*].id)

  parameters = {
    # Refuse connections without TLS.
    "rds.force_ssl" = "1"
    # Statements contain personal data and password hashes, because psycopg2 inserts the parameters
    # into their text: log neither slow nor failed ones, and no details of errors. Performance
    # Insights shows slow statements without their values.
    "log_min_duration_statement"          = "-1"
    "log_min_error_statement"             = "panic"
    "log_error_verbosity"                 = "terse"
    "log_parameter_max_length"            = "0"
    "log_parameter_max_length_on_error"   = "0"
    "log_lock_waits"                      = "1"
    "idle_in_transaction_session_timeout" = "60000"
  }
}

# RDS writes into these groups. Without them it creates its own, without retention, which outlive the
# server.
resource "aws_cloudwatch_log_group" "server" {
  for_each = toset(local.serverless ? ["cluster/${local.base}/postgresql"] : ["instance/${local.base}/postgresql", "instance/${local.base}/upgrade"])

  name              = "/aws/rds/${each.key}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

# -- one instance

resource "aws_db_parameter_group" "this" {
  count = local.serverless ? 0 : 1

  name        = "${local.base}-postgres${local.major}"
  family      = "postgres${local.major}"
  description = "Postgres of ${local.base}."
  tags        = var.tags

  dynamic "parameter" {
    for_each = local.parameters

    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  lifecycle {
    # For a new major version: the instance uses the old group until it is upgraded.
    create_before_destroy = true
  }
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_133:Backups are kept for `backup_retention_days`, 1 to 35 by its validation; checkov does not follow the variable.
  #checkov:skip=CKV_AWS_161:Functions enter by RDS Proxy, which asks for IAM tokens itself; the server's one user has a password that Secrets Manager rotates.
  #checkov:skip=CKV_AWS_118:Enhanced monitoring is a choice (`monitoring_interval_seconds`): it writes its metrics into a log that costs.
  #checkov:skip=CKV_AWS_157:A second zone is a choice (`multi_az`), since it doubles the price; production's variables make it.
  #checkov:skip=CKV_AWS_354:RDS's own key encrypts Performance Insights; the digests in there hold no values.
  #checkov:skip=CKV_AWS_293:Deletion protection is a variable, true by default; a lab for a test has to go.
  #checkov:skip=CKV2_AWS_30:Statements contain personal data, so none are logged.
  count = local.serverless ? 0 : 1

  identifier                  = local.base
  engine                      = "postgres"
  engine_version              = var.settings.engine_version
  instance_class              = var.settings.instance.class
  allocated_storage           = var.settings.instance.storage_gib
  max_allocated_storage       = var.settings.instance.maximum_storage_gib
  storage_type                = "gp3"
  storage_encrypted           = true
  kms_key_id                  = var.settings.kms_key_arn
  db_name                     = var.settings.database_name
  username                    = var.settings.username
  manage_master_user_password = true
  port                        = local.port

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.server.id]
  parameter_group_name   = aws_db_parameter_group.this[0].name
  publicly_accessible    = false
  multi_az               = var.settings.instance.multi_az

  backup_retention_period   = var.settings.backup_retention_days
  backup_window             = var.settings.backup_window
  maintenance_window        = var.settings.maintenance_window
  copy_tags_to_snapshot     = true
  delete_automated_backups  = !var.deletion_protection
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = !var.deletion_protection
  final_snapshot_identifier = var.deletion_protection ? "${local.base}-final" : null

  auto_minor_version_upgrade      = true
  allow_major_version_upgrade     = false
  apply_immediately               = false
  performance_insights_enabled    = true
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
  tags                            = local.server_tags

  depends_on = [aws_cloudwatch_log_group.server]
}

# -- Aurora Serverless v2

resource "aws_rds_cluster_parameter_group" "this" {
  count = local.serverless ? 1 : 0

  name        = "${local.base}-aurora-postgresql${local.major}"
  family      = "aurora-postgresql${local.major}"
  description = "Postgres of ${local.base}."
  tags        = var.tags

  dynamic "parameter" {
    for_each = local.parameters

    content {
      name  = parameter.key
      value = parameter.value
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_rds_cluster" "this" {
  #checkov:skip=CKV_AWS_133:Backups are kept for `backup_retention_days`, 1 to 35 by its validation; checkov does not follow the variable.
  #checkov:skip=CKV_AWS_162:Functions enter by RDS Proxy, which asks for IAM tokens itself; the server's one user has a password that Secrets Manager rotates.
  #checkov:skip=CKV_AWS_139:Deletion protection is a variable, true by default; a lab for a test has to go.
  #checkov:skip=CKV_AWS_327:RDS's own key encrypts unless `kms_key_arn` names another.
  #checkov:skip=CKV2_AWS_8:Aurora's own continuous backups are kept for `backup_retention_days`; AWS Backup would be a second bill for the same days.
  #checkov:skip=CKV2_AWS_27:Statements contain personal data, so none are logged.
  count = local.serverless ? 1 : 0

  cluster_identifier          = local.base
  engine                      = "aurora-postgresql"
  engine_version              = var.settings.engine_version
  engine_mode                 = "provisioned" # the mode of Serverless v2; "serverless" is v1
  database_name               = var.settings.database_name
  master_username             = var.settings.username
  manage_master_user_password = true
  port                        = local.port
  storage_encrypted           = true
  kms_key_id                  = var.settings.kms_key_arn

  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.server.id]
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this[0].name

  backup_retention_period      = var.settings.backup_retention_days
  preferred_backup_window      = var.settings.backup_window
  preferred_maintenance_window = var.settings.maintenance_window
  copy_tags_to_snapshot        = true
  deletion_protection          = var.deletion_protection
  skip_final_snapshot          = !var.deletion_protection
  final_snapshot_identifier    = var.deletion_protection ? "${local.base}-final" : null

  enabled_cloudwatch_logs_exports = ["postgresql"]
  tags                            = local.server_tags

  depends_on = [aws_cloudwatch_log_group.server]

  serverlessv2_scaling_configuration {
    min_capacity             = var.settings.serverless.minimum_acu
    max_capacity             = var.settings.serverless.maximum_acu
    seconds_until_auto_pause = var.settings.serverless.minimum_acu == 0 ? var.settings.serverless.pause_after_seconds : null
  }

  lifecycle {
    precondition {
      # Aurora does not pause while a proxy keeps connections open.
      condition     = var.settings.serverless.minimum_acu > 0 || !var.settings.proxy_enabled
      error_message = "minimum_acu = 0 (pausing) needs proxy_enabled = false, since a proxy's connections keep Aurora awake."
    }
  }
}

resource "aws_rds_cluster_instance" "this" {
  #checkov:skip=CKV_AWS_118:Enhanced monitoring writes its metrics into a log that costs; Performance Insights is on.
  #checkov:skip=CKV_AWS_354:RDS's own key encrypts Performance Insights; the digests in there hold no values.
  count = local.serverless ? var.settings.serverless.instances : 0

  identifier                   = "${local.base}-${count.index + 1}"
  cluster_identifier           = aws_rds_cluster.this[0].id
  engine                       = aws_rds_cluster.this[0].engine
  engine_version               = aws_rds_cluster.this[0].engine_version
  instance_class               = "db.serverless"
  publicly_accessible          = false
  auto_minor_version_upgrade   = true
  copy_tags_to_snapshot        = true
  performance_insights_enabled = true
  promotion_tier               = count.index
  tags                         = var.tags
}

# -- the login

# RDS creates the password, stores it in Secrets Manager and rotates it, so it is not in the state. Only
# the interval is set here.
resource "aws_secretsmanager_secret_rotation" "master" {
  #checkov:skip=CKV_AWS_304:Each week unless `rotation_days` says otherwise; checkov does not follow the variable.
  secret_id          = local.master_secret_arn
  rotate_immediately = false

  rotation_rules {
    automatically_after_days = var.settings.rotation_days
  }
}

# -- RDS Proxy

resource "aws_security_group" "proxy" {
  #checkov:skip=CKV2_AWS_5:The proxy is in it.
  count = var.settings.proxy_enabled ? 1 : 0

  name        = "${local.base}-proxy"
  description = "RDS Proxy, from the functions to Postgres."
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${local.base}-proxy" })

  ingress {
    description     = "Postgres from the functions"
    protocol        = "tcp"
    from_port       = local.port
    to_port         = local.port
    security_groups = local.client_groups
  }

  egress {
    description = "Postgres"
    protocol    = "tcp"
    from_port   = local.port
    to_port     = local.port
    cidr_blocks = values(local.private_blocks)
  }
}

resource "aws_iam_role" "proxy" {
  count = var.settings.proxy_enabled ? 1 : 0

  name        = "${local.base}-proxy"
  description = "Permissions of RDS Proxy: read the server's login."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "proxy" {
  count = var.settings.proxy_enabled ? 1 : 0

  name = "proxy"
  role = aws_iam_role.proxy[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "ReadLogin"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = [local.master_secret_arn]
      }],
      var.settings.kms_key_arn == null ? [] : [{
        Sid       = "DecryptLogin"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.settings.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.amazonaws.com" } }
      }],
    )
  })
}

resource "aws_db_proxy" "this" {
  count = var.settings.proxy_enabled ? 1 : 0

  name                   = local.base
  engine_family          = "POSTGRESQL"
  require_tls            = true
  role_arn               = aws_iam_role.proxy[0].arn
  vpc_subnet_ids         = [for subnet in aws_subnet.private : subnet.id]
  vpc_security_group_ids = [aws_security_group.proxy[0].id]
  # Connections of frozen execution environments. They reconnect on the next call.
  idle_client_timeout = 1800
  tags                = var.tags

  auth {
    description = "Functions authenticate with a token of their role; the proxy uses the server's login."
    auth_scheme = "SECRETS"
    iam_auth    = "REQUIRED"
    secret_arn  = local.master_secret_arn
  }

  # The proxy reads the secret when it is created.
  depends_on = [aws_iam_role_policy.proxy]
}

resource "aws_db_proxy_default_target_group" "this" {
  count = var.settings.proxy_enabled ? 1 : 0

  db_proxy_name = aws_db_proxy.this[0].name

  connection_pool_config {
    max_connections_percent      = 90 # the rest is for operators and RDS itself
    max_idle_connections_percent = 50
    # Shorter than a function's connection timeout (5 s), so that the function gets the proxy's error.
    connection_borrow_timeout = 4
  }
}

resource "aws_db_proxy_target" "this" {
  count = var.settings.proxy_enabled ? 1 : 0

  db_proxy_name          = aws_db_proxy.this[0].name
  target_group_name      = aws_db_proxy_default_target_group.this[0].name
  db_instance_identifier = local.serverless ? null : aws_db_instance.this[0].identifier
  db_cluster_identifier  = local.serverless ? aws_rds_cluster.this[0].cluster_identifier : null

  # A cluster can be a target once it has an instance.
  depends_on = [aws_rds_cluster_instance.this]
}
