"""The tasks and the properties that check them, one file an assignment; a file ends in its ASSIGNMENT."""
