"""The demo: the main job of Concord, end to end, on public data, over HTTP, into ``var/demo``."""
