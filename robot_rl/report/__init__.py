"""Pictures and pages from episodes and result files; importing the room alone loads no plotting library."""
