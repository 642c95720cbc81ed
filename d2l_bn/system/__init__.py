"""What the operating system asks for: files, signals, memory, threads, and how errors end."""
