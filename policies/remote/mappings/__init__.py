"""What known servers and clients call things and what their numbers mean; one YAML file each."""
