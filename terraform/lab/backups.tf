# Copies of backups in another region, `backup_region`; null for none.

locals {
  # Of this lab: an existing bucket, table or database has an owner who backs it up.
  copied_buckets = var.backup_region == null ? {} : {
    for name, bucket in local.topology.buckets : name => { versioned = true } if try(bucket.versioned, false) && !contains(keys(var.existing_buckets), name)
  }
  copied_tables = [for name in sort(keys(local.topology.tables)) : module.storage.table_arns[name] if try(local.topology.tables[name].backed_up, false)]
  server        = local.has.database_server ? { arn = module.database[0].arn, settings = module.database[0].settings } : null
  # RDS replicates automated backups of instances; AWS Backup copies those of Aurora.
  clusters = try(local.server.settings.engine_mode, "") == "serverless" ? [local.server.arn] : []
  replicated_instance = try(local.server.settings.engine_mode, "") == "instance" ? {
    arn            = local.server.arn
    retention_days = local.server.settings.backup_retention_days
  } : null
}

module "copies" {
  source    = "../modules/storage"
  count     = length(local.copied_buckets) > 0 ? 1 : 0
  providers = { aws = aws.backup }

  prefix        = "${var.prefix}-copies"
  bucket_suffix = var.bucket_suffix
  buckets       = local.copied_buckets
  tables        = {}
  force_destroy = !var.protected
  tls_only      = local.has.tls
}

module "backup_region" {
  source    = "../modules/backup-region"
  count     = var.backup_region == null ? 0 : 1
  providers = { aws = aws.backup }

  prefix        = var.prefix
  force_destroy = !var.protected
  instance      = local.replicated_instance
}

module "backup_plan" {
  source = "../modules/backup-plan"
  count  = var.backup_region == null ? 0 : 1

  prefix                = var.prefix
  table_arns            = local.copied_tables
  cluster_arns          = local.clusters
  destination_vault_arn = module.backup_region[0].vault_arn
  kms_key_arns          = compact([module.backup_region[0].kms_key_arn, length(local.clusters) > 0 ? local.server.settings.kms_key_arn : null])
  force_destroy         = !var.protected
}
