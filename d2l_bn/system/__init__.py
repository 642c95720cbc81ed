"""What the operating system asks for: files, interrupts, memory, and errors that end a command."""
