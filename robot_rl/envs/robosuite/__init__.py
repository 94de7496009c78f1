"""robosuite's table-top arms under operational-space control: lifting, a door, a nut on a peg."""
