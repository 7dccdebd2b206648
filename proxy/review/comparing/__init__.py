"""What two policies decide otherwise, with requests that show it."""
