# Environment, permissions and compute of every function.

locals {
  # Values of a manifest's references: by kind, then by logical name.
  values = {
    bucket   = module.storage.bucket_names
    table    = module.storage.table_names
    topic    = { for name, topic in aws_sns_topic.this : name => topic.arn }
    mail     = local.mail_senders
    database = { for name in keys(local.topology.databases) : name => local.database.url }
    secret = merge(
      { for secret in aws_secretsmanager_secret.payments : "payments" => secret.arn },
      { for secret in aws_secretsmanager_secret.webhooks : "webhooks" => secret.arn },
      { for name in keys(local.topology.secrets) : name => local.database.secret_arn if name == "database" },
    )
    workflow = { for name, workflow in module.workflow : name => workflow.arn }
    site     = { for name, origins in local.sites : name => join(",", origins) }
    api      = { cors = jsonencode(local.cors_rules) }
    lab = {
      prefix    = var.prefix
      functions = join(",", sort(keys(local.manifests)))
      telemetry = "cloudwatch"

      administrator-second-factor = tostring(var.administrator_second_factor)
    }
    recipes = {
      definitions = jsonencode(local.recipes)
      names       = join(",", sort(keys(local.recipes)))
      default     = var.recipe
    }
  }

  # Omitted variables: with IAM tokens, functions have no database secret; Stripe has a fixed address.
  omitted = concat(local.token ? ["DATABASE_SECRET_ARN"] : [], var.payments.url == null ? ["PAYMENTS_URL"] : [])
  # Set by variables of the lab, not by the manifests.
  overrides = merge(
    { PAYMENTS_PROVIDER = var.payments.provider },
    var.payments.url == null ? {} : { PAYMENTS_URL = var.payments.url },
  )

  # Settings of every function that sends e-mails, and of the one that sends receipts.
  mail_settings = { for name, value in {
    MAIL_CONFIGURATION_SET = one(aws_ses_configuration_set.emails[*].name)
    MAIL_REPLY_TO          = var.mail.reply_to
    MAIL_IMPRINT           = var.mail.imprint
    MAIL_PHOTOS_PER_DAY    = var.mail.photos_per_day == null ? null : tostring(var.mail.photos_per_day)
    MAIL_SITE_URL          = try(coalesce(var.mail.site_url, try(local.own_origins[0], null)), null)
    MAIL_API_URL           = var.mail.api_url != null ? var.mail.api_url : var.domain != null ? "https://${var.domain.name}" : null
  } : name => value if value != null }
  receipt_settings = { for name, value in {
    RECEIPT_SELLER      = var.mail.seller
    RECEIPT_TAX_NAME    = var.mail.tax_name
    RECEIPT_TAX_PERCENT = var.mail.tax_percent
  } : name => tostring(value) if value != null }

  # Limits of one function each.
  limits = {
    request-upload = {
      UPLOADS_PER_DAY               = var.limits.uploads_per_day
      UPLOADS_PER_DAY_OF_ADDRESS    = var.limits.uploads_per_day_of_address
      UPLOAD_MIB_PER_DAY_OF_ADDRESS = var.limits.upload_gib_per_day_of_address == null ? null : var.limits.upload_gib_per_day_of_address * 1024
      STORED_MIB_PER_ACCOUNT        = var.limits.stored_gib_per_account == null ? null : var.limits.stored_gib_per_account * 1024
    }
    create-order = {
      ORDERS_PER_DAY                        = var.limits.orders_per_day
      ORDERS_PER_DAY_OF_ADDRESS             = var.limits.orders_per_day_of_address
      DECLINED_PAYMENTS_PER_HOUR_OF_ADDRESS = var.limits.declined_payments_per_hour_of_address
      DECLINED_PAYMENTS_PER_HOUR            = var.limits.declined_payments_per_hour
    }
    manage-export = {
      EXPORTS_PER_DAY            = var.limits.exports_per_day
      EXPORTS_PER_DAY_OF_ADDRESS = var.limits.exports_per_day_of_address
    }
  }

  environments = {
    for name, m in local.manifests : name => merge(
      {
        for variable, value in try(m.environment, {}) : variable => (
          contains(keys(local.overrides), variable) ? local.overrides[variable]
          : can(keys(value)) ? local.values[keys(value)[0]][values(value)[0]] : tostring(value)
        ) if !contains(local.omitted, variable)
      },
      can(m.trigger.http.cors.site) ? {
        CORS_ORIGINS        = local.values.site[m.trigger.http.cors.site]
        CORS_EXPOSE_HEADERS = join(",", sort(try(m.trigger.http.cors.expose_headers, [])))
      } : {},
      can(m.trigger.queue) ? {
        DEAD_LETTER_QUEUE_URL = module.queue[name].dead_letter_url
        MAX_RECEIVE_COUNT     = tostring(m.trigger.queue.max_receive_count)
      } : {},
      contains(local.self_sending, name) ? {
        QUEUE_URL = module.queue[name].url
      } : {},
      try(m.trigger.queue.fair, false) ? {
        # As OWNER_SHARE in services/platform/manifest.py.
        OWNER_ENVIRONMENTS = tostring(0.8 * (
          contains(keys(local.workers), name)
          ? try(var.workers[name].concurrency, 1) * try(var.workers[name].maximum_tasks, 10)
          : m.trigger.queue.maximum_concurrency
        ))
      } : {},
      can(m.environment.MAIL_SENDER) ? local.mail_settings : {},
      var.traces_endpoint == null ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT = var.traces_endpoint },
      name == "process-image" && var.key_pattern != null ? { KEY_PATTERN = var.key_pattern } : {},
      name == "send-payment-receipt" ? local.receipt_settings : {},
      { for variable, value in lookup(local.limits, name, {}) : variable => tostring(value) if value != null },
      local.has.database && contains(local.with_database, name) ? { DATABASE_CA_BUNDLE = local.ca_bundle } : {},
    )
  }

  # Authorities of the certificate: of RDS Proxy in the base image, of the server itself in the function
  # image (docker/rds-authorities.pem).
  ca_bundle = local.token ? "/etc/pki/tls/certs/ca-bundle.crt" : "/var/task/rds-authorities.pem"
}

locals {
  # Of every function on Lambda or as a worker.
  definitions = {
    for name, manifest in merge(local.lambdas, local.workers) : name => {
      name               = name
      manifest           = manifest
      image_uri          = var.image_digests[name]
      architecture       = var.architecture
      environment        = local.environments[name]
      policy_statements  = local.policy_statements[name]
      log_retention_days = var.log_retention_days
    }
  }
}

module "function" {
  source   = "../modules/function"
  for_each = local.lambdas

  prefix                       = var.prefix
  definition                   = local.definitions[each.key]
  queue                        = can(each.value.trigger.queue) ? { arn = module.queue[each.key].arn } : null
  maximum_concurrency          = lookup(local.mail_concurrency, each.key, null)
  event_source_metrics_enabled = local.event_source_metrics
  reserved_concurrency_enabled = var.reserved_concurrency_enabled
  live_version                 = lookup(var.live_versions, each.key, lookup(local.held, each.key, null))
  canary_weight                = contains(keys(var.live_versions), each.key) ? var.canary_weight : 0
  warm_up_enabled              = local.has.calls
  warmer_schedule              = lookup(var.warmers, each.key, null)
  provisioned_concurrency      = { for name, value in try(var.provisioned_concurrency[each.key], {}) : name => value if local.has.autoscaling }
  vpc                          = lookup(local.networks, each.key, null)
}
