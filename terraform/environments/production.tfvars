# The lab of customers: data is protected from deletion, and one zone may fail.

environment = "production"
region      = "eu-central-1"
prefix      = "darkroom"
protected   = true

# Who answers for the lab; all resources have the tags.
tags = { owner = "change-me" }

# Bucket names must be globally unique: use a suffix of your own.
bucket_suffix = "change-me"

log_retention_days = 90

database = {
  engine_mode           = "instance"
  instance              = { class = "db.t4g.medium", storage_gib = 50, maximum_storage_gib = 500, multi_az = true }
  proxy_enabled         = true
  backup_retention_days = 35
}

payments = { provider = "stripe" }

sites = {
  web = ["https://darkroom.example"]
}
mail_senders = {
  sender = "Darkroom <photos@darkroom.example>"
}
# What e-mails show. A receipt needs the seller's name, address and tax number.
mail = {
  reply_to    = "help@darkroom.example"
  imprint     = "Darkroom GmbH, Hafenstr. 9, 20457 Hamburg, Germany, VAT DE000000000"
  site_url    = "https://darkroom.example"
  tax_percent = 19
}
operator_email = "operators@darkroom.example"

# Until they set up a second factor, administrators have a customer's rights.
administrator_second_factor = true

# Every request waits for the authorizer: one environment is always initialised.
provisioned_concurrency = {
  authorize-request = { minimum = 1, maximum = 10 }
}
# Every visitor calls these two, so a schedule keeps one environment initialised.
warmers = {
  list-images      = "rate(5 minutes)"
  answer-preflight = "rate(5 minutes)"
}

throttling = { requests_per_second = 500, burst = 1000 }
