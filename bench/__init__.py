"""The figures of Scanseal: what is measured, how, and against which limit (`make bench`)."""
