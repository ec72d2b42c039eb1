variable "region" {
  description = "AWS region of the lab."
  type        = string
}

variable "backup_region" {
  description = "Another AWS region that receives copies of backups: of the originals, the tables with `backed_up` in topology.yaml, and Postgres; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.backup_region != var.region
    error_message = "backup_region must be another region than region, got ${var.region} for both."
  }
}

variable "environment" {
  description = "Name of the environment (development, production, ...), a tag of all resources."
  type        = string
  default     = "development"
}

variable "target" {
  description = "Where the lab is applied. Other targets than aws omit what an emulator lacks (target.tf); AWS_ENDPOINT_URL names the emulator."
  type        = string
  default     = "aws"

  validation {
    condition     = contains(["aws", "ministack", "localstack"], var.target)
    error_message = "target must be aws, ministack or localstack, got ${var.target}."
  }
}

variable "emulator_has_engine" {
  description = "Whether the emulator has a Docker engine to run function images."
  type        = bool
  default     = false
}

variable "prefix" {
  description = "The prefix of all resource names; a second lab in one account needs another one."
  type        = string
  default     = "darkroom"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.prefix))
    error_message = "prefix must be 1 to 20 lower case letters, digits and dashes, since names of IAM and S3 are limited to 64 and 63 characters; got ${var.prefix}."
  }
}

variable "features" {
  description = "Features of the lab: photos, customers (users, sessions, uploads, the API), orders. photos alone needs no Postgres and no VPC."
  type        = set(string)
  default     = ["photos", "customers", "orders"]

  validation {
    condition     = length(var.features) > 0 && length(setsubtract(var.features, ["photos", "customers", "orders"])) == 0
    error_message = "features must be photos, customers or orders, got ${join(", ", sort(var.features))}."
  }

  validation {
    condition     = (!contains(var.features, "orders") || contains(var.features, "customers")) && contains(var.features, "photos")
    error_message = "features is incomplete: customers needs photos, and orders needs customers and photos; got ${join(", ", sort(var.features))}."
  }
}

variable "recipe" {
  description = "Recipe of uploads that choose none: a name in recipes.yaml."
  type        = string
  default     = "standard"

  validation {
    condition     = contains(keys(local.recipes), var.recipe)
    error_message = "recipe must be one of ${join(", ", sort(keys(local.recipes)))} (recipes.yaml), got ${var.recipe}."
  }
}

variable "existing_buckets" {
  description = "Existing buckets in place of new ones, by logical name. The lab adds its notification for keys with `prefix` and `suffix`, keeps those of others, and changes nothing else of the bucket. With `events_by = \"eventbridge\"` it changes nothing at all: a rule takes the events that the bucket sends to EventBridge."
  type = map(object({
    name      = string
    prefix    = optional(string, "")
    suffix    = optional(string, "")
    events_by = optional(string, "notification")
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.existing_buckets), keys(local.whole_topology.buckets))) == 0
    error_message = "existing_buckets must name buckets of topology.yaml (${join(", ", keys(local.whole_topology.buckets))}), got ${join(", ", keys(var.existing_buckets))}."
  }
}

variable "key_pattern" {
  description = "Keys of originals in an existing bucket: a regular expression that matches the whole key, with the groups `owner` and `name`. null for keys as customers' uploads have them: <owner>/<upload>/<filename>."
  type        = string
  default     = null

  validation {
    condition     = var.key_pattern == null || can(regex("\\(\\?P<owner>.*\\(\\?P<name>|\\(\\?P<name>.*\\(\\?P<owner>", var.key_pattern))
    error_message = "key_pattern must have the groups (?P<owner>...) and (?P<name>...)."
  }

  validation {
    condition     = var.key_pattern == null || !contains(var.features, "customers")
    error_message = "key_pattern is for photos only: uploads of customers have keys of their own."
  }
}

variable "additional_functions" {
  description = "Functions besides those of `features`: send-webhook calls webhooks of the deployment in a lab of photos only."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.additional_functions, ["send-webhook"])) == 0
    error_message = "additional_functions may name send-webhook, got ${join(", ", sort(var.additional_functions))}."
  }
}

variable "omitted_functions" {
  description = "Functions of the feature photos to leave out: send-image-email (no e-mails, no SES identity), add-avif (no recipe has AVIF)."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.omitted_functions, ["add-avif", "send-image-email"])) == 0
    error_message = "omitted_functions may name add-avif and send-image-email, got ${join(", ", sort(var.omitted_functions))}."
  }

  validation {
    condition     = !contains(var.omitted_functions, "add-avif") || !strcontains(jsonencode(local.recipes[var.recipe]), "\"avif\"")
    error_message = "The recipe ${var.recipe} has AVIF, so add-avif cannot be omitted."
  }
}

variable "python" {
  description = "Python with boto3, which changes notifications of existing buckets. `make setup` installs the default."
  type        = string
  default     = null
}

variable "bucket_suffix" {
  description = "Suffix of bucket names, which must be globally unique on AWS."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags of all resources, in addition to project and environment."
  type        = map(string)
  default     = {}
}

variable "image_digests" {
  description = "Function images by digest; `make push` writes them to images.auto.tfvars.json."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for image in values(var.image_digests) : can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "image_digests must name every image by digest (repository@sha256:...)."
  }

  validation {
    condition     = length(setsubtract(keys(merge(local.lambdas, local.workers)), keys(var.image_digests))) == 0
    error_message = "Missing images of ${join(", ", sort(setsubtract(keys(merge(local.lambdas, local.workers)), keys(var.image_digests))))}: `make push REGISTRY=...` pushes them and writes their digests."
  }
}

variable "architecture" {
  description = "Processor architecture of the images: arm64 or x86_64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64, got ${var.architecture}."
  }
}

variable "compute" {
  description = "Where a function runs, by its name: `lambda` (the default) or `worker`, an ECS service; only functions with a queue can be workers."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for where in values(var.compute) : contains(["lambda", "worker"], where)])
    error_message = "compute must be lambda or worker for each function named."
  }

  validation {
    condition = alltrue([
      for name, where in var.compute : where == "lambda" || try(contains(keys(yamldecode(file("${path.module}/../../images/${name}/function.yaml")).trigger), "queue"), false)
    ])
    error_message = "compute = worker needs an existing function with a queue."
  }
}

variable "workers" {
  description = "Scaling of workers, by function name: `scaling` of the module `worker`, which has the names and defaults."
  type        = any
  default     = {}
}

variable "schedules" {
  description = "Schedules by function name, in place of the manifest's: {start-orders = \"rate(1 day)\"}."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name in keys(var.schedules) : try(anytrue([
        for source in yamldecode(file("${path.module}/../../images/${name}/function.yaml")).trigger.queue.sources : can(source.schedule)
      ]), false)
    ])
    error_message = "schedules needs existing functions with a schedule."
  }
}

variable "worker_network" {
  description = "Network of workers whose function has no database; null for the database's network."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null
}

variable "live_versions" {
  description = "Versions that aliases point to, by function name; others point to the newest. A release sets them while it watches alarms."
  type        = map(string)
  default     = {}
}

variable "canary_weight" {
  description = "Share of the calls, 0 to 1, for newest versions while `live_versions` hold the aliases."
  type        = number
  default     = 0

  validation {
    condition     = var.canary_weight >= 0 && var.canary_weight <= 1
    error_message = "canary_weight must be 0..1, got ${var.canary_weight}."
  }
}

variable "reserved_concurrency_enabled" {
  description = "Whether the concurrency of routes is reserved. The quota of a new account (10 to 50 concurrent calls) is too low for it."
  type        = bool
  default     = true
}

variable "provisioned_concurrency" {
  description = "Environments that are always initialised, by function name: `provisioned_concurrency` of the module `function`, which has the names and defaults."
  type        = any
  default     = {}
}

variable "warmers" {
  description = "Schedules of calls that keep one environment initialised, by function name: rate(5 minutes)."
  type        = map(string)
  default     = {}
}

variable "traces_endpoint" {
  description = "Address of a collector that functions send spans to by OTLP over HTTP, as JSON; null for no traces. `https://xray.REGION.amazonaws.com` is X-Ray's own endpoint, which needs Transaction Search; functions in the VPC reach it by an interface endpoint, which is then created."
  type        = string
  default     = null

  validation {
    condition     = var.traces_endpoint == null || can(regex("^https?://[^/]+$", var.traces_endpoint))
    error_message = "traces_endpoint must be an address without a path, such as https://xray.eu-central-1.amazonaws.com."
  }
}

variable "log_retention_days" {
  description = "Retention of all logs, in days."
  type        = number
  default     = 30
}

variable "throttling" {
  description = "Limit of requests a second over all callers, and of the burst."
  type        = object({ requests_per_second = number, burst = number })
  default     = { requests_per_second = 200, burst = 400 }
}

variable "domain" {
  description = "A custom domain of the API; see the module `api`."
  type        = object({ name = string, certificate_arn = string, zone_id = optional(string) })
  default     = null
}

variable "site" {
  description = "The web page behind CloudFront, with the API on its origin; null for none. `domain` has its certificate in us-east-1. Without a domain, add the output `site` to `sites`, so that browsers may upload. `payment_methods` are what the page offers; with `stripe_publishable_key` it has Stripe's form instead."
  type = object({
    domain                 = optional(object({ name = string, certificate_arn = string, zone_id = optional(string) }))
    payment_methods        = optional(list(object({ id = string, name = string })), [])
    stripe_publishable_key = optional(string)
    price_class            = optional(string, "PriceClass_100")
  })
  default = null
}

variable "operator_email" {
  description = "E-mail address that alarms notify; null for none. The address must confirm once."
  type        = string
  default     = null
}

variable "omitted_alarms" {
  description = "Kinds of alarms to leave out, named as their runbooks; see the module `observability`. CloudWatch bills each metric of an alarm."
  type        = set(string)
  default     = []
}

variable "ses_max_send_rate" {
  description = "E-mails a second that SES allows for this lab. It limits the concurrency of the functions that send. null: `darkroom deploy` reads it from SES (MaxSendRate); set it where labs share an account."
  type        = number
  default     = null

  validation {
    condition     = var.ses_max_send_rate == null ? true : var.ses_max_send_rate > 0
    error_message = "ses_max_send_rate must be greater than 0."
  }
}

variable "mail_senders" {
  description = "Senders of e-mails by logical name, in place of the topology's: {sender = \"Lab <photos@example.com>\"}."
  type        = map(string)
  default     = {}
}

variable "mail" {
  description = "What every e-mail shows: the address for answers, the imprint in one line, and the website that it links to (<site_url>/photos/ID and <site_url>/orders/ID). Unsubscribe links need the API's address: `domain`, or `api_url`. A receipt also states the seller (default: the imprint) and the tax that prices include. Beyond `photos_per_day` e-mails about photos in a day (default: 20; 0: no limit), a recipient gets one for all photos of 15 minutes."
  type = object({
    reply_to       = optional(string)
    imprint        = optional(string)
    site_url       = optional(string)
    api_url        = optional(string)
    seller         = optional(string)
    tax_name       = optional(string)
    tax_percent    = optional(number)
    photos_per_day = optional(number)
  })
  default = {}

  validation {
    condition     = can(regex("^https?://[^/?#]+[^?#]*$", coalesce(var.mail.site_url, "https://none")))
    error_message = "mail.site_url must be an address such as https://shop.example, without query and fragment."
  }
  validation {
    condition     = coalesce(var.mail.tax_percent, 0) >= 0 && coalesce(var.mail.tax_percent, 0) <= 100
    error_message = "mail.tax_percent must be between 0 and 100."
  }
}

variable "mail_domain" {
  description = "A domain to verify with SES, with DKIM and DMARC; null for none. Its DNS records are created in the Route 53 zone `zone_id`, or are listed by the output `mail_dns_records`."
  type = object({
    name    = string
    zone_id = optional(string)
    dmarc   = optional(string, "v=DMARC1; p=quarantine")
  })
  default = null
}

variable "mail_sandbox_recipients" {
  description = "Recipients while SES is in its sandbox: their identities are created, and functions may send to them. Each must confirm once."
  type        = set(string)
  default     = []
}

variable "sites" {
  description = "Origins of web pages that may call the API, by logical name, in place of the topology's."
  type        = map(list(string))
  default     = {}
}

variable "administrator_second_factor" {
  description = "Whether administrators need a second factor (TOTP): without it, their sessions have a customer's rights."
  type        = bool
  default     = false
}

variable "limits" {
  description = "What an account, and the network of an IP address (`_of_address`), may do in a day, and the declined payments in an hour; the size of the photos that an account keeps. Null: the function's default (docs/security.md)."
  type = object({
    uploads_per_day                       = optional(number)
    uploads_per_day_of_address            = optional(number)
    upload_gib_per_day_of_address         = optional(number)
    stored_gib_per_account                = optional(number)
    orders_per_day                        = optional(number)
    orders_per_day_of_address             = optional(number)
    declined_payments_per_hour_of_address = optional(number)
    declined_payments_per_hour            = optional(number)
    exports_per_day                       = optional(number)
    exports_per_day_of_address            = optional(number)
  })
  default = {}
}

variable "payments" {
  description = "The payment provider: `stripe`, or `sandbox` at `url`."
  type        = object({ provider = string, url = optional(string) })
  default     = { provider = "stripe" }

  validation {
    condition     = var.payments.provider == "stripe" || (var.payments.provider == "sandbox" && var.payments.url != null)
    error_message = "payments must be stripe, or sandbox with its url."
  }
}

variable "payments_secret" {
  description = "Value of the secret `payments` as JSON, {api_key, webhook_secret}; not stored in plan or state. Null: set the secret yourself."
  type        = string
  default     = null
  ephemeral   = true
}

variable "payments_secret_version" {
  description = "0: set the secret yourself. Otherwise `payments_secret` is written whenever this number changes."
  type        = number
  default     = 0
}

variable "database" {
  description = "The database to create: `settings` of the module `database`, which has the names and defaults."
  type        = any
  default     = {}
}

variable "external_database" {
  description = "An existing Postgres in place of a new one: its URL without a password, its user, and the network from which functions reach it."
  type = object({
    url      = string
    username = string
    network  = optional(object({ subnet_ids = list(string), security_group_ids = list(string) }))
  })
  default = null
}

variable "database_retained" {
  description = "Whether the lab's own database and its network stay although `external_database` is set: while data move, and until no published version of a function uses the network any more."
  type        = bool
  default     = false
}

variable "external_database_password" {
  description = "Password of the external database's user; not stored in plan or state."
  type        = string
  default     = null
  ephemeral   = true
}

variable "external_database_password_version" {
  description = "The password is written whenever this number changes."
  type        = number
  default     = 1
}

variable "protected" {
  description = "Whether resources with data are protected from deletion: buckets with objects, tables, secrets, the database."
  type        = bool
  default     = true
}

variable "point_in_time_recovery" {
  description = "Whether tables can be restored to any second of the last 35 days."
  type        = bool
  default     = true
}
