# Variables of the lab, and values that it refuses; with a mock provider. A plan of the whole lab takes
# about 15 s of CPU: settings that do not meet share one, and alarms are left out (mocks/without_alarms.tfvars).

mock_provider "aws" {
  source = "./mocks"
}
mock_provider "aws" {
  alias  = "backup"
  source = "./mocks"
}

variables {
  # Terraform's tests require values of ephemeral variables.
  external_database_password = "unused"
  payments_secret            = "unused"

  image_digests = {
    for found in fileset("../../images", "*/function.yaml") : dirname(found) => "123456789012.dkr.ecr.eu-central-1.amazonaws.com/darkroom/${dirname(found)}@sha256:${sha256(found)}"
  }
}

run "route_as_worker_is_refused" {
  command = plan

  variables {
    compute = { list-images = "worker" }
  }

  expect_failures = [var.compute]
}

run "schedule_of_a_function_without_one_is_refused" {
  command = plan

  variables {
    schedules = { process-image = "rate(1 day)" }
  }

  expect_failures = [var.schedules]
}

run "function_without_image_is_refused" {
  command = plan

  variables {
    image_digests = {}
  }

  expect_failures = [var.image_digests]
}

run "emulator_without_external_database_is_refused" {
  command = plan

  variables {
    target = "ministack"
  }

  expect_failures = [aws_secretsmanager_secret.database]
}

run "database_and_network_stay_while_functions_leave_them" {
  command = plan

  variables {
    external_database = { url = "postgresql://darkroom@db.example/darkroom", username = "darkroom" }
    database_retained = true
  }

  assert {
    condition     = alltrue([for network in values(local.networks) : network == null]) && !local.token && length(aws_secretsmanager_secret.database) == 1
    error_message = "expected functions to use the external database, outside of the network"
  }
  assert {
    condition     = length(module.database) == 1 && length(module.database[0].vpc.subnet_ids) == 2
    error_message = "expected the lab's own database and its network to stay"
  }
}

run "photos_alone_need_no_database_network_or_api" {
  command = plan

  variables {
    features = ["photos"]
  }

  assert {
    condition     = keys(module.function) == ["add-avif", "process-image", "send-image-email"] && length(module.api) == 0 && length(module.workflow) == 0
    error_message = "expected the functions of photos only"
  }
  assert {
    condition     = length(module.backup_region) == 0 && length(module.backup_plan) == 0 && length(module.copies) == 0
    error_message = "expected no copies in another region by default"
  }
  assert {
    condition     = length(module.database) == 0 && length(aws_secretsmanager_secret.database) == 0 && length(aws_secretsmanager_secret.payments) == 0 && length(aws_secretsmanager_secret.webhooks) == 0 && alltrue([for network in values(local.networks) : network == null])
    error_message = "expected no database, no network and no secrets"
  }
  assert {
    condition     = length(aws_iam_policy.operators) == 0
    error_message = "expected no policy without functions of operators"
  }
  assert {
    condition     = keys(local.topology.buckets) == ["originals", "renditions"] && keys(local.topology.tables) == ["idempotency", "images", "recipients"] && keys(aws_sns_topic.this) == ["image-events"]
    error_message = "expected the resources that photos use only"
  }
}

run "photos_alone_have_webhooks_by_choice" {
  command = plan

  variables {
    features             = ["photos"]
    additional_functions = ["send-webhook"]
  }

  assert {
    condition     = contains(keys(module.function), "send-webhook") && length(aws_secretsmanager_secret.webhooks) == 1 && alltrue([for network in values(local.networks) : network == null])
    error_message = "expected send-webhook and its secret, and no network"
  }
  assert {
    condition     = keys(aws_sns_topic_policy.this) == ["image-events"]
    error_message = "expected a policy for topics with publishers only"
  }
}

run "all_features_use_the_whole_topology" {
  command = plan

  variables {
    database = { instance = { class = "db.r7g.large" } }
  }

  assert {
    # 16 GiB less a quarter are 1351 connections.
    condition     = local.connection_threshold == 1080
    error_message = "expected 80 % of the connections that the instance class takes"
  }
  assert {
    condition     = local.interface_endpoints == toset(["email", "secretsmanager", "sns", "sqs", "states"])
    error_message = "expected no endpoints of workers without a worker"
  }
  assert {
    condition     = alltrue([for kinds, resources in local.topology : keys(resources) == keys(local.whole_topology[kinds])])
    error_message = "expected every resource of topology.yaml"
  }
  assert {
    condition     = local.operator_functions == toset(["migrate-database", "run-operation"]) && length(aws_iam_policy.operators) == 1
    error_message = "expected a policy for the functions of operators"
  }

  assert {
    condition     = local.sign_in_function == "open-session"
    error_message = "expected an alarm on refused sign-ins of open-session"
  }

  assert {
    condition     = toset(aws_ses_event_destination.bounces[0].matching_types) == toset(["bounce", "complaint"])
    error_message = "expected bounces and complaints"
  }
  assert {
    condition     = aws_sns_topic.this["mail-events"].kms_master_key_id == null && aws_sns_topic.this["order-events"].kms_master_key_id == "alias/aws/sns"
    error_message = "SES cannot use the AWS managed key of SNS"
  }
  assert {
    condition     = local.environments["send-image-email"].MAIL_CONFIGURATION_SET == aws_ses_configuration_set.emails[0].name && length(local.resources["mail/sender"]) == 2
    error_message = "expected the configuration set in the environment and in the permission to send"
  }

  assert {
    condition     = local.environments["get-trace"].LAB_TELEMETRY == "cloudwatch" && local.environments["get-trace"].LAB_FUNCTIONS == join(",", sort(keys(local.manifests)))
    error_message = "expected the lab's values"
  }
  assert {
    condition     = !anytrue([for s in local.policy_statements["get-lab-status"] : length(setintersection(s.actions, ["sqs:ReceiveMessage", "sqs:SendMessage", "sqs:DeleteMessage"])) > 0])
    error_message = "expected no access to messages"
  }
  assert {
    condition = {
      for s in local.policy_statements["get-lab-status"] : s.sid => join(" ", s.actions) if contains(["LabFunctions", "LabRelease"], s.sid)
    } == { LabFunctions = "lambda:GetFunction", LabRelease = "ssm:GetParameter" }
    error_message = "expected the permission to read the versions and the release's record"
  }
  assert {
    condition     = alltrue([for s in local.policy_statements["get-lab-status"] : alltrue([for r in s.resources : endswith(r, ":parameter/${var.prefix}/release")]) if s.sid == "LabRelease"])
    error_message = "expected access to the release's parameter only"
  }
  assert {
    condition     = alltrue([for s in local.policy_statements["discard-dead-letters"] : alltrue([for r in s.resources : endswith(r, "-dead-letters")]) if contains(s.actions, "sqs:DeleteMessage")])
    error_message = "expected the permission to delete dead letters only"
  }
  assert {
    condition     = [for name, statements in local.policy_statements : name if anytrue([for s in statements : s.sid == "LabQueues" && contains(s.actions, "sqs:SendMessage")])] == ["replay-dead-letters"]
    error_message = "expected only replay-dead-letters to send to all queues"
  }
}

run "settings_reach_the_functions_that_use_them" {
  command = plan

  variables {
    schedules       = { start-orders = "rate(1 day)" }
    database        = { engine_mode = "serverless", proxy_enabled = false }
    backup_region   = "eu-west-1"
    mail            = { reply_to = "help@example.com", site_url = "https://shop.example", tax_percent = 19, photos_per_day = 50 }
    traces_endpoint = "https://xray.eu-central-1.amazonaws.com"
    recipe          = "compact"
    limits          = { stored_gib_per_account = 2, upload_gib_per_day_of_address = 3, orders_per_day = 7 }
  }

  assert {
    condition     = local.replicated_instance == null && length(local.clusters) == 1
    error_message = "expected AWS Backup to copy the backups of Aurora"
  }
  assert {
    # Four ACU of 2 GiB, less a quarter, are 675 connections.
    condition     = local.connection_threshold == 540
    error_message = "expected 80 % of the connections that Aurora's maximum capacity takes"
  }

  assert {
    condition     = local.environments["request-upload"].STORED_MIB_PER_ACCOUNT == "2048" && local.environments["request-upload"].UPLOAD_MIB_PER_DAY_OF_ADDRESS == "3072" && local.environments["create-order"].ORDERS_PER_DAY == "7" && !can(local.environments["create-order"].DECLINED_PAYMENTS_PER_HOUR)
    error_message = "expected the limits that are set in the environment of their function"
  }

  assert {
    condition     = { for name, schedule in local.schedules : name => schedule if schedule != null } == { erase-accounts = "rate(5 minutes)", start-orders = "rate(1 day)" }
    error_message = "expected that schedule in place of the manifest's, and the other one as it is"
  }

  assert {
    condition     = toset([for name in local.with_database : local.environments[name]["DATABASE_CA_BUNDLE"]]) == toset(["/var/task/rds-authorities.pem"])
    error_message = "expected the authorities of Amazon RDS in every function with the database"
  }

  assert {
    condition = alltrue([for name in ["send-image-email", "send-payment-receipt"] :
      local.environments[name].MAIL_REPLY_TO == "help@example.com" && local.environments[name].MAIL_SITE_URL == "https://shop.example" && local.environments[name].MAIL_PHOTOS_PER_DAY == "50"
    ])
    error_message = "expected the address for answers and the website in the environment"
  }
  assert {
    condition     = local.environments["send-payment-receipt"].RECEIPT_TAX_PERCENT == "19" && !can(local.environments["send-image-email"].RECEIPT_TAX_PERCENT)
    error_message = "expected the tax in the environment of send-payment-receipt only"
  }
  assert {
    condition     = !can(local.environments["send-image-email"].MAIL_IMPRINT) && !can(local.environments["process-image"].MAIL_REPLY_TO)
    error_message = "expected no variable for a setting that is not set, and none in other functions"
  }

  assert {
    condition     = alltrue([for e in values(local.environments) : e.OTEL_EXPORTER_OTLP_ENDPOINT == var.traces_endpoint])
    error_message = "Every function has the endpoint."
  }
  assert {
    condition     = contains(local.interface_endpoints, "xray")
    error_message = "Functions in the VPC reach X-Ray by an interface endpoint."
  }

  assert {
    condition     = alltrue([for name in ["process-image", "add-avif"] : local.environments[name].RECIPE == "compact" && jsondecode(local.environments[name].RECIPES) == local.recipes])
    error_message = "expected the chosen recipe and all definitions"
  }
  assert {
    condition     = local.environments["request-upload"].RECIPES == join(",", sort(keys(local.recipes)))
    error_message = "expected the names of the recipes"
  }
}

run "page_is_served_and_a_function_is_a_worker" {
  command = plan

  variables {
    site    = { domain = { name = "photos.example.com", certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1" } }
    compute = { process-image = "worker" }

    backup_region = "eu-west-1"
  }

  assert {
    condition     = join(" ", keys(local.copied_buckets)) == "originals" && length(module.copies) == 1
    error_message = "expected copies of the originals, and of no bucket whose objects are made from them"
  }
  assert {
    condition     = length(module.backup_region) == 1 && length(module.backup_plan) == 1 && length(local.copied_tables) == 4
    error_message = "expected copies of the four tables with backed_up in topology.yaml"
  }
  assert {
    condition     = local.replicated_instance.retention_days == var.database.backup_retention_days && length(local.clusters) == 0
    error_message = "expected RDS to replicate the backups of the instance"
  }

  assert {
    condition     = length(module.site) == 1 && output.site == "https://photos.example.com"
    error_message = "expected the page at its domain"
  }
  assert {
    condition     = contains(local.sites.web, "https://photos.example.com") && local.environments["send-image-email"].MAIL_SITE_URL == "https://photos.example.com"
    error_message = "expected the page to upload, and e-mails to link to it"
  }

  assert {
    condition     = keys(local.workers) == ["process-image"] && !contains(keys(module.function), "process-image")
    error_message = "expected the function as a worker only"
  }
  assert {
    condition     = local.interface_endpoints == toset(["ecr.api", "ecr.dkr", "email", "logs", "secretsmanager", "sns", "sqs", "states"])
    error_message = "expected three endpoints for the first worker: to pull its image and to log"
  }
  assert {
    condition     = length(local.emulator_scaling) == 0
    error_message = "expected an apply on AWS to wait for the worker's new tasks"
  }
}

run "orders_without_customers_are_refused" {
  command = plan

  variables {
    features = ["photos", "orders"]
  }

  expect_failures = [var.features]
}

run "existing_bucket_is_not_created" {
  command = plan

  variables {
    features         = ["photos"]
    existing_buckets = { originals = { name = "a-bucket-of-ours", prefix = "in/" } }
  }

  assert {
    condition     = module.storage.bucket_names["originals"] == "a-bucket-of-ours" && local.resources["bucket/originals/objects"] == ["arn:aws:s3:::a-bucket-of-ours/*"]
    error_message = "expected the existing bucket in names and permissions"
  }
}

run "site_url_without_scheme_is_refused" {
  command = plan

  variables {
    mail = { site_url = "shop.example" }
  }

  expect_failures = [var.mail]
}

run "mail_domain_has_dkim_and_dmarc_records" {
  variables {
    features    = ["photos"]
    mail_domain = { name = "darkroom.example", zone_id = "Z1" }
  }

  assert {
    condition     = length(aws_route53_record.mail) == 5 && aws_route53_record.mail[4].name == "_dmarc.darkroom.example" && aws_route53_record.mail[4].records == toset(["v=DMARC1; p=quarantine"])
    error_message = "expected three records of DKIM, one of the verification and one of DMARC"
  }
}

run "sandbox_recipients_are_identities_that_functions_may_send_to" {
  variables {
    features                = ["photos"]
    mail_sandbox_recipients = ["you@example.com"]
    ses_max_send_rate       = 14
  }

  assert {
    condition     = local.mail_concurrency == { send-image-email = 2 } && !output.mail_rate_wanted
    error_message = "expected the sending rate to limit the function that sends, and no other"
  }

  assert {
    condition     = length(aws_ses_email_identity.recipient) == 1 && length(local.resources["mail/sender"]) == 2
    error_message = "expected an identity of the recipient, and permission to send to it"
  }
}

run "backups_in_the_same_region_are_refused" {
  command = plan

  variables {
    features      = ["photos"]
    backup_region = "eu-central-1"
  }

  expect_failures = [var.backup_region]
}

run "unknown_recipe_is_refused" {
  command = plan

  variables {
    recipe = "none-of-these"
  }

  expect_failures = [var.recipe]
}

run "unknown_settings_are_refused" {
  command = plan

  variables {
    target   = "aws"
    database = { proxy_enable = false, instance = { clas = "db.t4g.micro" } }
    compute  = { process-image = "worker" }
    workers  = { process-image = { maximum_task = 3 } }

    provisioned_concurrency = { authorize-request = { minimum = 1, utilisation = 0.5 } }
  }

  expect_failures = [output.functions]
}

run "photos_alone_have_no_page" {
  command = plan

  variables {
    features = ["photos"]
    site     = {}
  }

  assert {
    condition     = length(module.site) == 0
    error_message = "expected no page without an API"
  }
}
