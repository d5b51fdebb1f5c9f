"""Where weights come from: files, URLs, bytes and arrays."""
