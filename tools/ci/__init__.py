"""What the workflows in `.github/` run beside `tw`: comments, issues and pull requests at GitHub."""
