"""The labeler `chat`: asks a vision-language model behind an OpenAI-compatible endpoint."""
