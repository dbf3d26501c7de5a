"""What programs that are not ours say of sealed files: three validators, asked one by one."""
