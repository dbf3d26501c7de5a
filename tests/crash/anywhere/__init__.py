"""The whole path, killed at every call that touches the disk, and refused by the disk at every one."""
