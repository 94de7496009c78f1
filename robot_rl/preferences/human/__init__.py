"""The labeler `human`: colleagues judge pairs of pictures on a page in their browsers."""
