# Photos only, from a bucket that exists: renditions, catalogue, events and e-mails.
# No Postgres, VPC, NAT gateway or API; about $1 a month while idle (`darkroom cost --plan`).

variable "image_digests" {
  description = "Function images by digest: terraform/lab/images.auto.tfvars.json, written by `make push`."
  type        = map(string)
}

module "darkroom" {
  source = "../../lab"

  region        = "eu-central-1"
  environment   = "photos"
  prefix        = "photos"
  bucket_suffix = "change-me"
  features      = ["photos"]
  image_digests = var.image_digests

  # The folder of a photo is its owner. Notifications of others stay.
  key_pattern = "(?:(?P<owner>.+)/)?(?P<name>[^/]+)"
  existing_buckets = {
    originals = { name = "change-me", suffix = ".jpg" }
  }
  mail_senders   = { sender = "Photos <photos@example.com>" }
  omitted_alarms = ["canary", "cold-starts", "duration", "failed-events", "init", "photo-latency", "throttles"]
}

output "lab" {
  description = "What was created, also for `darkroom --outputs`: buckets, tables, queues, functions."
  value       = module.darkroom
}
