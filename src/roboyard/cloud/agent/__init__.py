"""What runs on an instance, in the image, until its work is done or the instance goes."""
