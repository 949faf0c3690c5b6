"""Who machines are to their cloud, and what that lets them do: one module per cloud."""
