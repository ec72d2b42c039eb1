"""What operators do: build images, look into dead letters, load-test. Never inside an image."""
