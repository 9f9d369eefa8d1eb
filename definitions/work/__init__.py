"""The work of flows: plain functions over plugins, with no server in sight."""
