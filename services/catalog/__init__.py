"""The catalogue of photos: uploads, development, records and renditions."""
