# The lab that customers use: what holds data cannot be destroyed, and one zone may fail.

environment = "production"
region      = "eu-central-1"
prefix      = "darkroom"
protected   = true

# Bucket names are unique among everybody's: put something of yours here.
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
operator_email = "operators@darkroom.example"

# Signing in is what a customer waits for with the least patience: one environment is always there.
provisioned_concurrency = {
  authorize-request = { minimum = 1, maximum = 10 }
}
# The others meet a cold start once in a while; these two are met by every visitor.
warmers = {
  list-images      = "rate(5 minutes)"
  answer-preflight = "rate(5 minutes)"
}

throttling = { requests_per_second = 500, burst = 1000 }
