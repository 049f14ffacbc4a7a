"""AWS: from an empty account to finished runs on spot machines."""
