"""The whole box as a process."""
