"""The kit of the end-to-end tests: the real binary, a scripted upstream and raw clients."""
