"""What each column of a project rests on: rendered, read and compared without a warehouse."""
