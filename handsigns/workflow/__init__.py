"""What a user can ask for, one function each; shared by the command line and Python."""
